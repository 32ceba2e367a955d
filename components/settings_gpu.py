"""The settings about GPUs beyond one pool of nodes; `components.settings` reads them as `gpu`.

Nodes that the stack makes itself say in `aws.gpuPools` how their cards are shared; here it is said for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from components._rules import choice, dns_label, flag, integer
from components._schema import schema, setting
from components._workload import GPU_RESOURCE, SHARED_GPU_RESOURCE, Resources
from components.settings_aws import MOST_TIME_SLICES, GpuPoolSettings

DEVICE_PLUGIN: Final = "devicePlugin"
CLAIMS: Final = "claims"


@schema
class GpuSettings:
    """How pods get GPUs, what NVIDIA's operator is told, and how many GPUs the platform may have."""

    allocation: str = setting(choice((DEVICE_PLUGIN, CLAIMS)), default=DEVICE_PLUGIN)
    """`claims` takes whole cards as devices of Kubernetes 1.34 or later (dynamic resource allocation), which NVIDIA's
    driver for them then hands out, and no device plugin beside it: each would give away what the other has given."""
    operator: bool = setting(flag(), default=False)
    """Whether the cluster has the operator: the stack then sets it, and Prometheus reads its exporter."""
    operator_namespace: str = setting(dns_label, default="gpu-operator")
    time_slices: int = setting(integer(1, MOST_TIME_SLICES, "pods per card"), default=1)
    """Pods take turns on a card: neither its memory nor its failures are divided."""
    mig: bool = setting(flag(), default=False)
    """Whether the nodes' cards are cut into slices, by whoever makes the nodes; a slice counts as a GPU then."""
    quota: int | None = setting(integer(0, 1_000, "GPUs that pods of the platform may ask for"), default=None)

    @property
    def by_claims(self) -> bool:
        """Whether pods claim cards as devices."""
        return self.allocation == CLAIMS

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse two ways of sharing at once, and sharing that nobody would bring about."""
        if not faulty.isdisjoint({"allocation", "operator", "time_slices", "mig"}) or self.by_claims:
            return
        if self.mig and self.time_slices > 1:
            yield "mig", "false where timeSlices is 2 or more: a slice is promised to one pod"
        if not self.operator and (self.mig or self.time_slices > 1):
            yield "operator", "true where timeSlices or mig say how cards are shared"


def claim_problems(
    gpu: GpuSettings, resources: Resources, accelerator: str | None, *, own_nodes: bool
) -> Iterator[tuple[str, str]]:
    """Yield what does not go with cards that are claimed, as fields of a stack's settings with what is allowed there.

    Args:
        gpu: the settings of this section.
        resources: of the model servers.
        accelerator: the card that they want.
        own_nodes: whether the stack makes its nodes.
    """
    if not gpu.by_claims:
        return
    if own_nodes:
        yield "gpu", "allocation devicePlugin where `aws` is set: Karpenter 1.14 makes no node for pods with claims"
    if gpu.operator:
        yield "gpu", "no operator where allocation is claims: what it is told is how to run the device plugin"
    if gpu.time_slices > 1:
        yield "gpu", "no timeSlices where allocation is claims: NVIDIA's driver takes turns as an experiment only"
    if gpu.mig:
        yield "gpu", "no mig where allocation is claims: NVIDIA's driver cuts cards as an experiment only"
    if resources.gpu_resource != GPU_RESOURCE:
        yield "model_server", f"gpuResource {GPU_RESOURCE} where `gpu.allocation` is claims: there are whole cards only"
    if accelerator is not None and not any(letter.isdigit() for letter in accelerator):
        allowed = "an accelerator with a digit, such as l4, where `gpu.allocation` is claims"
        yield "model_server", f"{allowed}: a claim finds the card by that word of its product's name"


def fitting(pools: Sequence[GpuPoolSettings], accelerator: str | None) -> list[GpuPoolSettings]:
    """Return the pools whose card will do; without a wish every card does."""
    return [pool for pool in pools if accelerator in (None, pool.accelerator)]


def serving_problems(
    resources: Resources, pools: Sequence[GpuPoolSettings], *, accelerator: str | None, falls_back: bool
) -> Iterator[str]:
    """Yield what is allowed of the model servers on these pools of the stack's own, for all that is not."""
    found = fitting(pools, accelerator)
    if not found:
        if not falls_back:
            yield f"no GPUs, unless `aws.gpuPools` has a pool{f' of {accelerator}' if accelerator else ''}"
        return
    serving = [pool for pool in found if _resource(pool) == resources.gpu_resource]
    if not serving:
        allowed = " or ".join(sorted({_resource(pool) for pool in found}))
        yield f"gpuResource {allowed}, which is what nodes of {_names(found)} have"
        return
    if all(set(pool.capacity) == {"spot"} for pool in serving):
        yield f"GPUs of a pool with on-demand capacity: stable slots do not run on spot alone, as in {_names(serving)}"
    most = max(pool.gpus_per_node * pool.slices for pool in serving)
    if resources.gpu_resource == GPU_RESOURCE and most < resources.gpus:
        yield f"at most {most} GPUs: no node of {_names(serving)} has more"


def _resource(pool: GpuPoolSettings) -> str:
    return SHARED_GPU_RESOURCE if pool.time_slices > 1 else GPU_RESOURCE


def _names(pools: Sequence[GpuPoolSettings]) -> str:
    return ", ".join(pool.name for pool in pools)
