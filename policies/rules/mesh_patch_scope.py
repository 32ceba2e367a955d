"""EnvoyFilter patches every proxy."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="mesh-patch-scope",
    title="EnvoyFilter patches every proxy",
    severity=Severity.HIGH,
    frameworks=("Istio security practice",),
    kinds=("networking.istio.io/EnvoyFilter",),
    demand=Filled("spec.workloadSelector.labels") | Filled("spec.targetRefs"),
    why="A mistake in it takes down all traffic of its namespace, in the mesh's root namespace that of all.",
    how="Select the workload that is meant.",
    example=Example(
        of="EnvoyFilter",
        fails={"spec.workloadSelector": {"labels": {}}},
        neighbour={
            "spec.workloadSelector": None,
            "spec.targetRefs": [{"kind": "Gateway", "name": "g", "group": "gateway.networking.k8s.io"}],
        },
        needed=True,
    ),
)
