"""GPU is asked for without a limit."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Equal, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="gpu-limit",
    title="GPU is asked for without a limit",
    severity=Severity.HIGH,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.CONTAINERS,
    demand=~Present("resources.requests[nvidia.com/gpu]")
    | Equal("resources.limits[nvidia.com/gpu]", "resources.requests[nvidia.com/gpu]"),
    why="GPUs cannot be shared by overcommitment; a request that differs from the limit is refused late "
    "or waits for ever.",
    how="Write the same number of GPUs into requests and limits.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.containers.0.resources.requests[nvidia.com/gpu]": "1"},
        neighbour={
            "spec.template.spec.containers.0.resources.requests[nvidia.com/gpu]": "1",
            "spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "1",
        },
    ),
)
