"""Builds the budget that keeps a replicated workload serving while nodes are drained."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent


def takes_turns(replicas: int | None) -> bool:
    """Say whether a workload has, or may get, more pods than one; None is for an autoscaler to decide."""
    return replicas is None or replicas > 1


def disruption_budget(
    component: PlatformComponent,
    name: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    selector: Mapping[str, str],
) -> None:
    """Let a drain take away one of the selected pods at a time; a pod that is not ready never blocks it."""
    k8s.policy.v1.PodDisruptionBudget(
        f"{name}-budget",
        metadata=k8s.meta.v1.ObjectMetaArgs(namespace=namespace, labels=dict(labels)),
        spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1,
            selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(selector)),
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
        opts=component.child(),
    )
