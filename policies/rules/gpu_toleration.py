"""GPU workload does not fit on GPU nodes."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, Filled, Is, Present, Some
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="gpu-toleration",
    title="GPU workload does not fit on GPU nodes",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.POD,
    # A claim is taken for one of GPUs: what it is for stands elsewhere, and nothing else is claimed here.
    demand=Every(
        "containers",
        ~Present("resources.limits[nvidia.com/gpu]")
        & ~Present("resources.limits[nvidia.com/gpu.shared]")
        & ~Filled("resources.claims"),
    )
    | Some("tolerations", Is("key", "nvidia.com/gpu") | (Is("operator", "Exists") & ~Filled("key"))),
    why="GPU nodes are tainted so that nothing else runs there; without the toleration the pod waits for ever.",
    how="Tolerate the taint nvidia.com/gpu.",
    example=Example(
        of="Job",
        fails={"spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "1"},
        neighbour={
            "spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "1",
            "spec.template.spec.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        },
    ),
)
