"""Pod chooses a free SELinux type."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import OneOf, Present
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-selinux-type",
    title="pod chooses a free SELinux type",
    severity=Severity.MEDIUM,
    frameworks=("PSS baseline",),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Present("securityContext.seLinuxOptions.type")
    | OneOf(
        "securityContext.seLinuxOptions.type",
        ("container_t", "container_init_t", "container_kvm_t", "container_engine_t"),
    ),
    why="A type made for the node's own services undoes the separation that SELinux gives containers.",
    how="Remove seLinuxOptions or take one of the container types.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.securityContext.seLinuxOptions": {"type": "spc_t"}},
        neighbour={"spec.template.spec.securityContext.seLinuxOptions": {"type": "container_t"}},
    ),
)
