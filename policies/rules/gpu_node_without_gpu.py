"""Pod occupies a GPU node without using a GPU."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Filled, Is, Present, Some
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="gpu-node-without-gpu",
    title="pod occupies a GPU node without using a GPU",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Some("tolerations", Is("key", "nvidia.com/gpu"))
    | Some("containers", Present("resources.limits[nvidia.com/gpu]"))
    | Some("containers", Present("resources.limits[nvidia.com/gpu.shared]"))
    # What a pod claims and no container uses is held for nobody.
    | Some("containers", Filled("resources.claims")),
    why="The most expensive nodes then run what any node could.",
    how="Remove the toleration, or ask for a GPU.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
        neighbour={"spec.template.spec.tolerations": [{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}]},
    ),
)
