"""ConfigMap holds what belongs into a Secret."""

from __future__ import annotations

from policies._logic import NoKey
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="config-map-secret",
    title="ConfigMap holds what belongs into a Secret",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.4.1",),
    kinds=("core/ConfigMap",),
    demand=NoKey("data", "(?i)(password|passwd|secret|token|api[-_.]?key|private[-_.]?key|credentials?)$"),
    why="ConfigMaps are not encrypted at rest and may be read by more people.",
    how="Move the entry into a Secret.",
    example=Example(
        of="ConfigMap",
        fails={"data": {"db-password": "hunter2"}},
        neighbour={"data.password-rules": "at least twelve characters"},
    ),
)
