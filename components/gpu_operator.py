"""Sets NVIDIA's GPU operator, which somebody has installed: how cards are shared, and that their use is measured.

The operator's chart brings the one object that it obeys, with the images that belong together. So this writes only the
fields that the platform decides about, and leaves the object when the stack goes (docs/adr/0009).

Nodes bring driver and container toolkit in their image, as those of all large clouds do; where it has the device plugin
as well, the operator must not run a second one: both would hand out the same cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components._base import PlatformComponent
from components._labels import object_labels
from components._workload import GPU_RESOURCE

_NAME = "gpu-operator"
_POLICY = "cluster-policy"
_SHARING = "sharing"


@dataclass(frozen=True, kw_only=True)
class GpuOperatorArgs:
    """What the operator has to be told."""

    namespace: str
    """Where the operator runs."""
    device_plugin: bool
    """Whether it runs the device plugin: not where the nodes' image does."""
    time_slices: int
    """Pods that take turns on a card."""
    mig: bool
    """Whether cards are cut into slices, all alike, each of which counts as a GPU."""


class GpuOperator(PlatformComponent):
    """The platform's part of the operator's policy."""

    def __init__(self, name: str, args: GpuOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        k8s.apiextensions.CustomResourcePatch(
            f"{name}-policy",
            api_version="nvidia.com/v1",
            kind="ClusterPolicy",
            # The chart wrote some of these fields before; the platform's word counts.
            metadata=k8s.meta.v1.ObjectMetaArgs(name=_POLICY, annotations={"pulumi.com/patchForce": "true"}),
            spec=self._spec(),
            opts=self.child(),
        )
        self.finish(policy=_POLICY)

    def _spec(self) -> dict[str, Any]:
        args = self._args
        plugin: dict[str, Any] = {"enabled": args.device_plugin}
        if args.device_plugin and args.time_slices > 1:
            plugin["config"] = {"name": self._create_sharing(), "default": _SHARING}
        return {
            "driver": {"enabled": False},
            "toolkit": {"enabled": False},
            "devicePlugin": plugin,
            "mig": {"strategy": "single"},
            "migManager": {"enabled": args.device_plugin and args.mig},
            "dcgmExporter": {"enabled": True},
        }

    def _create_sharing(self) -> pulumi.Output[str]:
        shared = {"name": GPU_RESOURCE, "replicas": self._args.time_slices}
        sharing = {
            # Another name, so that nobody gets a turn who believes to have a card.
            "timeSlicing": {"renameByDefault": True, "failRequestsGreaterThanOne": True, "resources": [shared]}
        }
        config = k8s.core.v1.ConfigMap(
            f"{self._name}-sharing",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                namespace=self._args.namespace, labels=object_labels(_NAME, self._name)
            ),
            data={_SHARING: yaml.safe_dump({"version": "v1", "sharing": sharing}, sort_keys=False)},
            opts=self.child(),
        )
        return config.metadata.name.apply(str)
