"""GPU workload has no idle budget."""

from __future__ import annotations

from policies._kinds import CONTROLLED
from policies._logic import Filled, Matches, Present, Some
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="gpu-idle-budget",
    title="GPU workload has no idle budget",
    severity=Severity.LOW,
    frameworks=("cost",),
    kinds=CONTROLLED,
    when=Some("spec.template.spec.containers", Present("resources.limits[nvidia.com/gpu]"))
    | Some("spec.template.spec.containers", Present("resources.limits[nvidia.com/gpu.shared]"))
    | Some("spec.template.spec.containers", Filled("resources.claims")),
    demand=Matches("metadata.annotations[mlplatform.dev/idle-budget-minutes]", "^[1-9][0-9]{0,4}$"),
    why="A GPU that waits for requests costs the same as one that works; somebody has to say how long it may wait.",
    how="Annotate it with mlplatform.dev/idle-budget-minutes.",
    example=Example(
        of="Deployment",
        fails={
            "spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]": "1",
            "metadata.annotations[mlplatform.dev/idle-budget-minutes]": "never",
        },
        neighbour={"metadata.annotations[mlplatform.dev/idle-budget-minutes]": "never"},
        needed=True,
    ),
)
