"""Pod is given requests before it says that it is ready."""

from __future__ import annotations

from policies._kinds import SCALED
from policies._logic import Present, Some
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="workload-readiness-probe",
    title="pod is given requests before it says that it is ready",
    severity=Severity.HIGH,
    frameworks=("Kubernetes production practice",),
    kinds=SCALED,
    scope=Scope.POD,
    demand=Some("containers", Present("readinessProbe")),
    why="Each start and each roll-out then answers some requests with errors.",
    how="Give a container of the pod a readinessProbe.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.readinessProbe": None},
        passes={"spec.template.spec.containers.0.readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}},
        neighbour={
            "spec.template.spec.containers.1": {
                "name": "sidecar",
                "image": "docker.io/library/sidecar:1.0",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"memory": "8Mi"}},
                "livenessProbe": {"tcpSocket": {"port": 9000}},
            }
        },
        needed=True,
    ),
)
