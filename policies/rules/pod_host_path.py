"""Pod mounts a folder of the node."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-host-path",
    title="pod mounts a folder of the node",
    severity=Severity.CRITICAL,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.12", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=Every("volumes", ~Present("hostPath")),
    why="A folder of the node outlives the pod, is shared with other pods, and is a way to the node's own files.",
    how="Use a PersistentVolumeClaim for data and an emptyDir for scratch space.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.volumes.0": {"name": "data", "hostPath": {"path": "/var/lib"}}},
        neighbour={"spec.template.spec.volumes.0": {"name": "hostpath", "emptyDir": {"sizeLimit": "1Gi"}}},
    ),
)
