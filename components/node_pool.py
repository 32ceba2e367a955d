"""A kind of node that Karpenter may add: which machines, how many at most, for whom, and when they go again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._aws import AwsScope
from components._base import PlatformComponent
from components._labels import object_labels
from components._workload import ACCELERATOR_LABEL, GPU_RESOURCE, SHARED_GPU_RESOURCE

_NAME = "node-pool"
_CORE = "karpenter.sh"
_AWS = "karpenter.k8s.aws"
_DISCOVERY = "karpenter.sh/discovery"
_POOL_LABEL = "mlplatform.dev/pool"
_ROOT_DEVICE = "/dev/xvda"
_DATA_DEVICE = "/dev/xvdb"
_ROOT_GIB = 4
_GRACE_HOURS = 1
_OFFICE_HOURS = {"schedule": "0 6 * * mon-fri", "duration": "12h"}


@dataclass(frozen=True, kw_only=True)
class GpuSlices:
    """Slices of a card, all alike; each counts as a GPU."""

    model: str
    """The card as Bottlerocket's settings call it."""
    profile: str
    count: int
    """Of one card."""


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """What makes nodes into GPU nodes."""

    accelerator: str
    """The card, in the label `accelerator`, by which pods choose it."""
    per_node: int
    limit: int
    """Cards of all nodes together."""
    time_slices: int = 1
    """Pods that take turns on one card; with more than one they ask for nvidia.com/gpu.shared."""
    slices: GpuSlices | None = None
    """Into what each card is cut; None leaves it whole."""

    @property
    def announced(self) -> dict[str, str]:
        """What a node has instead of the whole cards that AWS lists; empty where it has these."""
        if self.slices is not None:
            return {GPU_RESOURCE: str(self.per_node * self.slices.count)}
        if self.time_slices > 1:
            # A pod that wants a whole card must not get a node here: without the card it would never be ready, and
            # what was never ready is not removed when it idles.
            return {GPU_RESOURCE: "0", SHARED_GPU_RESOURCE: str(self.per_node * self.time_slices)}
        return {}

    @property
    def limits(self) -> dict[str, str]:
        """The limit as nodes count what they have: in slices or turns, where cards are divided."""
        if self.time_slices > 1:
            return {SHARED_GPU_RESOURCE: str(self.limit * self.time_slices)}
        return {GPU_RESOURCE: str(self.limit * (self.slices.count if self.slices else 1))}


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs:
    """What distinguishes one pool from another."""

    scope: AwsScope
    image: str
    """Release of the nodes' system, such as bottlerocket@v1.63.0."""
    instance_profile: pulumi.Input[str]
    security_group: pulumi.Input[str]
    """The group that nodes and control plane share."""
    families: tuple[str, ...]
    capacity: tuple[str, ...]
    """`on-demand`, `spot` or both; with both, Karpenter takes spot and falls back."""
    limits: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of all nodes together, such as cpu and memory."""
    idle_seconds: int
    expire_hours: int
    volume_gib: int
    gpus: Gpus | None = None


class NodePool(PlatformComponent):
    """A pool with the class of its nodes."""

    def __init__(self, name: str, args: NodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        node_class = self._create(f"{name}-class", f"{_AWS}/v1", "EC2NodeClass", self._class_spec())
        # The class is known by its name; it is there before the pool because the pool takes the name from it.
        self._class_name = pulumi.Output.all(node_class.urn).apply(lambda _: name)
        self.pool = self._create(name, f"{_CORE}/v1", "NodePool", self._pool_spec())
        if args.gpus is not None and args.gpus.announced:
            self._create(f"{name}-overlay", f"{_CORE}/v1alpha1", "NodeOverlay", self._overlay_spec(args.gpus))
        self.finish(pool=self._class_name)

    def _create(
        self, name: str, api_version: str, kind: str, spec: Mapping[str, Any]
    ) -> k8s.apiextensions.CustomResource:
        return k8s.apiextensions.CustomResource(
            name,
            api_version=api_version,
            kind=kind,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=self._name, labels=object_labels(_NAME, self._name)),
            spec=dict(spec),
            opts=self.child(),
        )

    def _class_spec(self) -> dict[str, Any]:
        args = self._args
        return {
            "amiSelectorTerms": [{"alias": args.image}],
            "instanceProfile": args.instance_profile,
            "subnetSelectorTerms": [{"tags": {_DISCOVERY: args.scope.name}}],
            "securityGroupSelectorTerms": [{"id": args.security_group}],
            "blockDeviceMappings": [
                _disk(_ROOT_DEVICE, _ROOT_GIB, root=False),
                # Bottlerocket keeps images and what pods write on a disk of its own.
                _disk(_DATA_DEVICE, args.volume_gib, root=True),
            ],
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "disabled",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
            },
            "tags": args.scope.tagged(args.scope.named(self._name)),
            **({"userData": user_data} if (user_data := _user_data(args.gpus)) else {}),
        }

    def _overlay_spec(self, gpus: Gpus) -> dict[str, Any]:
        """Tell Karpenter what a node will have before there is one: it knows whole cards only."""
        return {
            "requirements": [{"key": "karpenter.sh/nodepool", "operator": "In", "values": [self._name]}],
            "capacity": gpus.announced,
        }

    def _pool_spec(self) -> dict[str, Any]:
        args = self._args
        spec: dict[str, Any] = {
            "requirements": self._requirements(),
            "nodeClassRef": {"group": _AWS, "kind": "EC2NodeClass", "name": self._class_name},
            "expireAfter": f"{args.expire_hours}h",
            # A pod that cannot be moved must not keep an old node for ever.
            "terminationGracePeriod": f"{_GRACE_HOURS}h",
        }
        labels = {_POOL_LABEL: self._name}
        if args.gpus is not None:
            spec["taints"] = [{"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}]
            labels[ACCELERATOR_LABEL] = args.gpus.accelerator
        return {
            "template": {"metadata": {"labels": labels}, "spec": spec},
            "disruption": self._disruption(),
            "limits": {**args.limits, **(args.gpus.limits if args.gpus else {})},
        }

    def _requirements(self) -> list[dict[str, Any]]:
        args = self._args
        found: list[dict[str, Any]] = [
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(args.capacity)},
            {"key": f"{_AWS}/instance-family", "operator": "In", "values": list(args.families)},
        ]
        if args.gpus is not None:
            count = {"key": f"{_AWS}/instance-gpu-count", "operator": "In", "values": [str(args.gpus.per_node)]}
            found.append(count)
        return found

    def _disruption(self) -> dict[str, Any]:
        idle = f"{self._args.idle_seconds}s"
        if self._args.gpus is not None:
            # A pod on a GPU works for hours: it is never moved to save money, an empty node goes at once.
            return {"consolidationPolicy": "WhenEmpty", "consolidateAfter": idle, "budgets": [{"nodes": "100%"}]}
        return {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            "consolidateAfter": idle,
            # One node at a time, and none to save money while people work.
            "budgets": [{"nodes": "1"}, {"nodes": "0", "reasons": ["Underutilized"], **_OFFICE_HOURS}],
        }


def _user_data(gpus: Gpus | None) -> str | None:
    """Return what Bottlerocket's own device plugin has to be told, as its settings in TOML."""
    plugin = "settings.kubelet-device-plugins.nvidia"
    if gpus is None:
        return None
    if gpus.slices is not None:
        return (
            f'[{plugin}]\ndevice-partitioning-strategy = "mig"\n\n'
            f'[{plugin}.mig.profile]\n"{gpus.slices.model}" = "{gpus.slices.profile}"\n'
        )
    if gpus.time_slices > 1:
        return (
            f'[{plugin}]\ndevice-sharing-strategy = "time-slicing"\n\n[{plugin}.time-slicing]\n'
            f"replicas = {gpus.time_slices}\nrename-by-default = true\nfail-requests-greater-than-one = true\n"
        )
    return None


def _disk(device: str, size_gib: int, *, root: bool) -> dict[str, Any]:
    return {
        "deviceName": device,
        "rootVolume": root,
        "ebs": {"volumeSize": f"{size_gib}Gi", "volumeType": "gp3", "encrypted": True, "deleteOnTermination": True},
    }
