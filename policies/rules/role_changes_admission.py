"""Role may change what the cluster refuses."""

from __future__ import annotations

from policies._kinds import ROLES
from policies._logic import Every, OneOf
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="role-changes-admission",
    title="role may change what the cluster refuses",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.1.12",),
    kinds=ROLES,
    demand=Every(
        "rules",
        Every(
            "resources",
            ~OneOf(
                "",
                (
                    "validatingwebhookconfigurations",
                    "mutatingwebhookconfigurations",
                    "validatingadmissionpolicies",
                    "validatingadmissionpolicybindings",
                    "mutatingadmissionpolicies",
                    "mutatingadmissionpolicybindings",
                ),
            ),
        )
        | Every("verbs", OneOf("", ("get", "list", "watch"))),
    ),
    why="Whoever changes admission sees every object, Secrets included, and lets in what these rules refuse.",
    how="Allow reading only; let the deployment make webhooks and policies.",
    example=Example(
        of="ClusterRole",
        fails={"rules.0.resources": ["validatingadmissionpolicies"], "rules.0.verbs": ["get", "patch"]},
        neighbour={"rules.0.resources": ["validatingadmissionpolicies"], "rules.0.verbs": ["get", "list", "watch"]},
    ),
)
