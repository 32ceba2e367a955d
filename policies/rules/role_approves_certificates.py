"""Role may approve certificates."""

from __future__ import annotations

from policies._access import READS_ONLY, reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

_GROUP = "certificates.k8s.io"
_APPROVAL = {"rules.0.apiGroups": [_GROUP], "rules.0.resources": ["certificatesigningrequests/approval"]}

RULE = ObjectRule(
    id="role-approves-certificates",
    title="role may approve or sign certificates of the cluster",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.11",),
    kinds=ROLES,
    demand=Every(
        "rules",
        ~reaches(_GROUP, "certificatesigningrequests/approval", "certificatesigningrequests/status", "signers")
        | READS_ONLY,
    ),
    why="A certificate of the cluster can carry any name, also that of an administrator.",
    how="Let people approve, and controllers of the cluster itself.",
    example=Example(
        of="ClusterRole",
        fails={**_APPROVAL, "rules.0.verbs": ["get", "update"]},
        neighbour={**_APPROVAL, "rules.0.verbs": ["get"]},
    ),
)
