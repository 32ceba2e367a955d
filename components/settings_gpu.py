"""The settings about GPUs beyond one pool of nodes; `components.settings` reads them as `gpu`.

Nodes that the stack makes itself say in `aws.gpuPools` how their cards are shared; here it is said for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from components._rules import dns_label, flag, integer
from components._schema import schema, setting
from components._workload import GPU_RESOURCE, SHARED_GPU_RESOURCE, Resources
from components.settings_aws import MOST_TIME_SLICES, GpuPoolSettings


@schema
class GpuSettings:
    """NVIDIA's operator, and how many GPUs the platform may have."""

    operator: bool = setting(flag(), default=False)
    """Whether the cluster has the operator: the stack then sets it, and Prometheus reads its exporter."""
    operator_namespace: str = setting(dns_label, default="gpu-operator")
    time_slices: int = setting(integer(1, MOST_TIME_SLICES, "pods per card"), default=1)
    """Pods take turns on a card: neither its memory nor its failures are divided."""
    mig: bool = setting(flag(), default=False)
    """Whether the nodes' cards are cut into slices, by whoever makes the nodes; a slice counts as a GPU then."""
    quota: int | None = setting(integer(0, 1_000, "GPUs that pods of the platform may ask for"), default=None)

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse two ways of sharing at once, and sharing that nobody would bring about."""
        if not faulty.isdisjoint({"operator", "time_slices", "mig"}):
            return
        if self.mig and self.time_slices > 1:
            yield "mig", "false where timeSlices is 2 or more: a slice is promised to one pod"
        if not self.operator and (self.mig or self.time_slices > 1):
            yield "operator", "true where timeSlices or mig say how cards are shared"


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
