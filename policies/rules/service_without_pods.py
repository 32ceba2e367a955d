"""Service that selects no workload."""

from __future__ import annotations

from collections.abc import Iterator

from policies._indexing import Pods
from policies._kinds import PODS
from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import MISSING, UNKNOWN, read
from policies._samples import LABELS, service, workload
from policies._selecting import selects


def check(stack: Situated) -> Iterator[Finding]:
    """Find Services whose selector fits no pod template of their namespace, and no servers that an operator makes."""
    pods = Pods(stack.of(*PODS))
    served = {(cluster.namespace, cluster.name) for cluster in stack.of("postgresql.cnpg.io/Cluster")}
    for door in stack.of("core/Service"):
        wanted = read(door.properties, "spec.selector")
        if wanted is MISSING or not pods.in_namespace(door.namespace):
            continue
        if (door.namespace, read(wanted, "[cnpg.io/cluster]")) in served:
            continue
        selector = {"matchLabels": wanted}
        truths = {selects(selector, labels) for labels in pods.for_selector(door.namespace, wanted)}
        if True in truths:
            continue
        yield (
            unknown(door, "spec.selector")
            if None in truths
            else Finding(resource=door, message="its selector fits no pods of this stack")
        )


RULE = StackRule(
    id="service-without-pods",
    title="Service that selects no workload",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    why="Every request to it fails, and nothing says so until somebody asks.",
    how="Make the selector fit the labels of the pods.",
    check=check,
    concerns=("core/Service",),
    fails=(workload(), service({"app": "sever"})),
    passes=(workload(), service(LABELS)),
    neighbour=(workload(), service(MISSING)),
    unknown=(workload(labels=UNKNOWN), service(LABELS)),
    missing=(workload(labels={}), service(LABELS)),
)
