"""What runs in a cluster on AWS before the platform does: the class of its disks, and what adds its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._aws_catalogue import MIG_MODELS
from components._base import PlatformComponent
from components.disk_class import DiskClass, DiskClassArgs
from components.node_pool import Gpus, GpuSlices, NodePool, NodePoolArgs
from components.node_provisioner import NodeProvisioner, NodeProvisionerArgs
from components.settings_aws import AwsSettings, GpuPoolSettings


@dataclass(frozen=True, kw_only=True)
class ClusterParts:
    """What the foundation has made that the services need."""

    cluster: pulumi.Input[str]
    security_group: pulumi.Input[str]
    node_role: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ClusterServicesArgs:
    """What the services are made for."""

    aws: AwsSettings
    keep_disks: bool
    """Whether disks outlive their claims."""
    parts: ClusterParts
    image_mirror: str | None = None


class ClusterServices(PlatformComponent):
    """Disks and nodes: what must be there before the first pod of the platform."""

    def __init__(self, name: str, args: ClusterServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._aws, self._scope, self._parts = args.aws, args.aws.scope, args.parts
        DiskClass(
            "encrypted",
            DiskClassArgs(scope=self._scope, key_arn=args.parts.data_key_arn, keep=args.keep_disks),
            self.child(),
        )
        self.provisioner = NodeProvisioner(
            "karpenter",
            NodeProvisionerArgs(
                scope=self._scope,
                cluster=args.parts.cluster,
                node_role=args.parts.node_role,
                replicas=2 if self._aws.highly_available else 1,
                image_mirror=args.image_mirror,
                node_overlays=any(_gpus(pool).announced for pool in self._aws.gpu_pools),
            ),
            self.child(),
        )
        self._create_cpu_pool()
        for pool in self._aws.gpu_pools:
            self._create_pool(
                f"gpu-{pool.name}",
                families=pool.families,
                capacity=pool.capacity,
                idle_seconds=pool.idle_seconds,
                expire_hours=pool.expire_hours,
                volume_gib=pool.volume_gib,
                gpus=_gpus(pool),
            )
        self.finish(pools=["cpu", *(f"gpu-{pool.name}" for pool in self._aws.gpu_pools)])

    def _create_cpu_pool(self) -> None:
        pool = self._aws.cpu_pool
        self._create_pool(
            "cpu",
            families=pool.families,
            capacity=pool.capacity,
            idle_seconds=pool.idle_seconds,
            expire_hours=pool.expire_hours,
            volume_gib=pool.volume_gib,
            limits={"cpu": str(pool.cpu_limit), "memory": f"{pool.memory_limit_gib}Gi"},
        )

    def _create_pool(
        self,
        name: str,
        *,
        families: tuple[str, ...],
        capacity: tuple[str, ...],
        idle_seconds: int,
        expire_hours: int,
        volume_gib: int,
        limits: dict[str, str] | None = None,
        gpus: Gpus | None = None,
    ) -> None:
        NodePool(
            name,
            NodePoolArgs(
                scope=self._scope,
                image=self._aws.node_image,
                instance_profile=self.provisioner.instance_profile,
                security_group=self._parts.security_group,
                families=families,
                capacity=capacity,
                limits=limits or {},
                idle_seconds=idle_seconds,
                expire_hours=expire_hours,
                volume_gib=volume_gib,
                gpus=gpus,
            ),
            # The gate: Karpenter brings the definitions of pools, and has to see them go when the stack does.
            self.child(depends_on=[self.provisioner.release]),
        )


def _gpus(pool: GpuPoolSettings) -> Gpus:
    card, profile = pool.accelerator, pool.mig_profile
    return Gpus(
        accelerator=card,
        per_node=pool.gpus_per_node,
        limit=pool.gpu_limit,
        time_slices=pool.time_slices,
        slices=None if profile is None else GpuSlices(model=MIG_MODELS[card], profile=profile, count=pool.slices),
    )
