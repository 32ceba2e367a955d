"""Workload with several replicas without a disruption budget."""

from __future__ import annotations

from collections.abc import Iterator

from policies._indexing import Selectors
from policies._kinds import SCALED
from policies._model import Finding, Severity, Situated, StackRule, unknown
from policies._paths import UNKNOWN, read
from policies._samples import LABELS, budget, workload
from policies._selecting import lacking, pod_labels


def check(stack: Situated) -> Iterator[Finding]:
    """Find workloads of which a drained node may take all pods at once."""
    budgets = stack.of("policy/PodDisruptionBudget")
    index = Selectors((item.namespace, read(item.properties, "spec.selector")) for item in budgets)
    for owner in stack.of(*SCALED):
        replicas = read(owner.properties, "spec.replicas")
        if replicas is UNKNOWN:
            yield unknown(owner, "spec.replicas")
        elif isinstance(replicas, int | float) and replicas > 1:
            near = index.for_labels(owner.namespace, pod_labels(owner))
            yield from lacking(owner, near, "no budget selects it")


RULE = StackRule(
    id="workload-disruption-budget",
    title="workload with several replicas without a disruption budget",
    severity=Severity.MEDIUM,
    frameworks=("Kubernetes production practice",),
    why="Draining nodes for an upgrade may stop all replicas at once.",
    how="Add a PodDisruptionBudget that selects its pods.",
    check=check,
    concerns=SCALED,
    fails=(workload(replicas=2),),
    passes=(workload(replicas=2), budget({"matchLabels": LABELS})),
    neighbour=(workload(replicas=1),),
    unknown=(workload(replicas=2, labels=UNKNOWN), budget({"matchLabels": LABELS})),
    missing=(workload(replicas=2), budget(None)),
)
