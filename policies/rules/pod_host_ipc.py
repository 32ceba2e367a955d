"""Pod shares the node's memory segments."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Is
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-host-ipc",
    title="pod shares the node's memory segments",
    severity=Severity.CRITICAL,
    frameworks=("PSS baseline", "CIS Kubernetes 5.2.4", "NSA/CISA"),
    kinds=PODS,
    scope=Scope.POD,
    demand=~Is("hostIPC", True),
    why="Shared memory of other workloads of the node can be read and changed.",
    how="Remove hostIPC; give containers of one pod an emptyDir of medium Memory.",
    example=Example(
        of="DaemonSet", fails={"spec.template.spec.hostIPC": True}, neighbour={"spec.template.spec.hostIPC": False}
    ),
    fix={"hostIPC": False},
)
