"""How the platform arranges GPUs: what the operator is told, what Prometheus reads of them, how many there may be."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._devices import device_amounts
from components._labels import object_labels
from components._scraping import DistantTarget, Elsewhere
from components._workload import GPU_RESOURCE, SHARED_GPU_RESOURCE
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.settings import Settings
from components.settings_gpu import fitting

_EXPORTER: Final = {"app": "nvidia-dcgm-exporter"}
_EXPORTER_PORT: Final = 9400


def measured_cards(settings: Settings) -> tuple[Elsewhere, ...]:
    """Return what Prometheus reads of the GPUs; a card's user is in the labels `namespace` and `pod`."""
    gpu = settings.gpu
    if not gpu.operator:
        return ()
    target = DistantTarget(job="gpu", selector=_EXPORTER, port=_EXPORTER_PORT)
    return (Elsewhere(namespace=gpu.operator_namespace, namespace_name=gpu.operator_namespace, targets=(target,)),)


def are_sliced(settings: Settings) -> bool:
    """Say whether model servers get slices of cards, whose use is told by another series."""
    if settings.aws is None:
        return settings.gpu.mig
    pools = fitting(settings.aws.gpu_pools, settings.model_server.accelerator)
    return any(pool.mig_profile is not None for pool in pools)


def arrange_gpus(component: PlatformComponent, settings: Settings, namespace: pulumi.Output[str]) -> None:
    """Declare what the settings say about GPUs, as children of a component."""
    gpu = settings.gpu
    if gpu.operator:
        args = GpuOperatorArgs(
            namespace=gpu.operator_namespace,
            # The image of the stack's own nodes has it, with the sharing that their pool names.
            device_plugin=settings.aws is None,
            time_slices=gpu.time_slices,
            mig=gpu.mig,
        )
        GpuOperator("gpu-operator", args, component.child())
    if gpu.quota is not None:
        counted = device_amounts(gpu.quota) if gpu.by_claims else _counted_amounts(gpu.quota)
        k8s.core.v1.ResourceQuota(
            "gpus",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name="gpus", namespace=namespace, labels=object_labels("quota", "gpus")
            ),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(hard=counted),
            opts=component.child(),
        )


def _counted_amounts(gpus: int) -> dict[str, str]:
    return {f"requests.{resource}": str(gpus) for resource in (GPU_RESOURCE, SHARED_GPU_RESOURCE)}
