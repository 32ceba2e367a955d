"""Account hands its token to every pod."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="account-token",
    title="account hands its token to every pod",
    severity=Severity.MEDIUM,
    frameworks=("CIS Kubernetes 5.1.6",),
    kinds=("core/ServiceAccount",),
    demand=Is("automountServiceAccountToken", False) | Is("metadata.name", "default"),
    why="The pod that needs the token should ask for it; the others then have none.",
    how="Set automountServiceAccountToken to false on the account and to true on the pod.",
    example=Example(
        of="ServiceAccount",
        fails={"automountServiceAccountToken": True},
        neighbour={"metadata.labels.team": "research"},
        needed=True,
    ),
    fix={"automountServiceAccountToken": False},
)
