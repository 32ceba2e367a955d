"""Role may make tokens of other accounts."""

from __future__ import annotations

from policies._access import READS_ONLY, reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-mints-tokens",
    title="role may make tokens of other accounts",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.13",),
    kinds=ROLES,
    demand=Every("rules", ~reaches("", "serviceaccounts/token") | READS_ONLY),
    why="Who makes a token of an account has all of its rights.",
    how="Give the pod the account that it needs; its token comes by itself.",
    example=Example(
        of="Role",
        fails={"rules.0.resources": ["serviceaccounts/token"], "rules.0.verbs": ["create"]},
        neighbour={"rules.0.resources": ["serviceaccounts"], "rules.0.verbs": ["create"]},
    ),
)
