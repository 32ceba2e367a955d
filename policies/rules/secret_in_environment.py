"""Password stands in plain text in the environment."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Filled, Matches
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="secret-in-environment",
    title="password stands in plain text in the environment",
    severity=Severity.CRITICAL,
    frameworks=("CIS Kubernetes 5.4.1", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=Every(
        "env",
        ~Matches("name", "(?i)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY|CREDENTIALS?)$") | ~Filled("value"),
    ),
    why="Everybody who may read the workload, and every log of it, has the password.",
    how="Use valueFrom.secretKeyRef, or mount the Secret and name its file.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.env": [{"name": "DB_PASSWORD", "value": "hunter2"}]},
        neighbour={"spec.template.spec.containers.0.env": [{"name": "DB_PASSWORD_FILE", "value": "/run/secrets/db"}]},
    ),
)
