"""Workload without a NetworkPolicy for both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from policies._indexing import Selectors
from policies._kinds import PODS
from policies._model import Finding, Resource, Severity, Situated, StackRule
from policies._paths import UNKNOWN, read
from policies._samples import LABELS, network_policy, workload
from policies._selecting import lacking, pod_labels


def check(stack: Situated) -> Iterator[Finding]:
    """Find workloads whose pods no policy isolates in both directions."""
    policies = stack.of("networking.k8s.io/NetworkPolicy")
    for direction in ("Ingress", "Egress"):
        named = [policy for policy in policies if direction in _directions(policy)]
        index = Selectors((item.namespace, read(item.properties, "spec.podSelector")) for item in named)
        for owner in stack.of(*PODS):
            near = index.for_labels(owner.namespace, pod_labels(owner))
            yield from lacking(owner, near, f"no NetworkPolicy limits its {direction.lower()}")


def _directions(policy: Resource) -> list[Any]:
    stated = read(policy.properties, "spec.policyTypes")
    return cast("list[Any]", stated) if isinstance(stated, list) else ["Ingress"]


RULE = StackRule(
    id="workload-network-policy",
    title="workload without a NetworkPolicy for both directions",
    severity=Severity.HIGH,
    frameworks=("CIS Kubernetes 5.3.2", "NSA/CISA"),
    why="Pods that no policy selects talk to everybody and are reached by everybody.",
    how="Deny everything in the namespace, then allow what each workload needs.",
    check=check,
    concerns=PODS,
    fails=(workload(), network_policy({}, "Ingress")),
    passes=(workload(), network_policy({}, "Ingress", "Egress")),
    neighbour=(workload(), network_policy({"matchLabels": LABELS}, "Ingress"), network_policy({}, "Egress")),
    unknown=(workload(labels=UNKNOWN), network_policy({"matchLabels": LABELS}, "Ingress", "Egress")),
    missing=(workload(labels={}), network_policy({"matchLabels": LABELS}, "Ingress", "Egress")),
)
