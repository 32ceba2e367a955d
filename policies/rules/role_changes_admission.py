"""Role may change what the cluster refuses."""

from __future__ import annotations

from policies._access import READS_ONLY, reaches
from policies._kinds import ROLES
from policies._logic import Every
from policies._model import Example, ObjectRule, Severity

_GROUP = "admissionregistration.k8s.io"
_POLICIES = {"rules.0.apiGroups": [_GROUP], "rules.0.resources": ["validatingadmissionpolicies"]}

RULE = ObjectRule(
    id="role-changes-admission",
    title="role may change what the cluster refuses",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.12",),
    kinds=ROLES,
    demand=Every(
        "rules",
        ~reaches(
            _GROUP,
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
        )
        | READS_ONLY,
    ),
    why="Whoever changes admission sees every object, Secrets included, and lets in what these rules refuse.",
    how="Allow reading only; let the deployment make webhooks and policies.",
    example=Example(
        of="ClusterRole",
        fails={**_POLICIES, "rules.0.verbs": ["get", "patch"]},
        neighbour={**_POLICIES, "rules.0.verbs": ["get", "list", "watch"]},
    ),
)
