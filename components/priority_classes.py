"""Who is placed first where room is short: what holds data, then what answers requests, then everything else.

Pipelines and training have no class, and so come last.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels
from components._workload import data_priority, serving_priority

_NAME = "priority-classes"


@dataclass(frozen=True, kw_only=True)
class PriorityClassesArgs:
    """How the platform's pods stand to those of others in the cluster, whose priority is 0 unless they say another."""

    namespace_name: str
    """Name of the platform's namespace, known before it exists."""
    data: int = 20_000
    serving: int = 10_000


class PriorityClasses(PlatformComponent):
    """The priorities of the platform's pods. Named after its namespace, as a cluster may have several platforms."""

    def __init__(self, name: str, args: PriorityClassesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        data, serving = data_priority(args.namespace_name), serving_priority(args.namespace_name)
        self._create(
            f"{name}-data",
            data,
            args.data,
            # A database that lost its node must find another one, even at the cost of pods that can start elsewhere.
            preemption="PreemptLowerPriority",
            description="Databases, objects and measurements: nothing works without them",
        )
        self._create(
            f"{name}-serving",
            serving,
            args.serving,
            # One more pod of a part that grows is not worth a training run of an hour: new nodes come for it.
            preemption="Never",
            description="Answers requests: placed before what can wait, drives nothing out",
        )
        self.finish(data=data, serving=serving)

    def _create(
        self, name: str, object_name: pulumi.Input[str], value: int, *, preemption: str, description: str
    ) -> None:
        k8s.scheduling.v1.PriorityClass(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=object_name, labels=object_labels(_NAME, name)),
            value=value,
            preemption_policy=preemption,
            description=description,
            opts=self.child(),
        )
