"""Pod sets a kernel parameter that others share."""

from __future__ import annotations

from policies._kinds import PODS
from policies._logic import Every, OneOf
from policies._model import Example, ObjectRule, Scope, Severity

RULE = ObjectRule(
    id="pod-unsafe-sysctl",
    title="pod sets a kernel parameter that others share",
    severity=Severity.HIGH,
    frameworks=("PSS baseline",),
    kinds=PODS,
    scope=Scope.POD,
    demand=Every(
        "securityContext.sysctls",
        OneOf(
            "name",
            (
                "kernel.shm_rmid_forced",
                "net.ipv4.ip_local_port_range",
                "net.ipv4.ip_unprivileged_port_start",
                "net.ipv4.tcp_syncookies",
                "net.ipv4.ping_group_range",
                "net.ipv4.ip_local_reserved_ports",
                "net.ipv4.tcp_keepalive_time",
                "net.ipv4.tcp_fin_timeout",
                "net.ipv4.tcp_keepalive_intvl",
                "net.ipv4.tcp_keepalive_probes",
            ),
        ),
    ),
    why="Only a few parameters belong to the pod alone; any other changes the node for all pods on it.",
    how="Remove the parameter or set it on the node.",
    example=Example(
        of="Deployment",
        fails={"spec.template.spec.securityContext.sysctls": [{"name": "kernel.msgmax", "value": "65536"}]},
        neighbour={"spec.template.spec.securityContext.sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]},
    ),
)
