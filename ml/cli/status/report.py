"""Collects the state of a platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.status.slots import SlotStatus, read_slots
from ml.cli.status.workloads import UnfinishedJob, Workload, examine, unfinished_jobs
from ml.cli.together import together
from ml.cli.traffic import split_weights
from ml.contracts import STABLE_SLOT

_WORKLOADS = "deployments,statefulsets,pods,jobs"
_SPLITS = "virtualservices.networking.istio.io"


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """What runs, what is served where and how requests are shared out."""

    stack: str
    namespace: str
    components: tuple[Workload, ...]
    """Everything but the slots."""
    jobs: tuple[UnfinishedJob, ...]
    slots: tuple[SlotStatus, ...]
    weights: Mapping[str, Mapping[str, float]]
    """Percent of the requests by slot, by model; empty for a model without split."""

    @property
    def ready(self) -> bool:
        """Whether every request would be answered: components, stable slots and slots with traffic are ready."""
        serving = all(
            slot.ready
            for slot in self.slots
            if slot.slot == STABLE_SLOT or self.weights.get(slot.model, {}).get(slot.slot, 0) > 0
        )
        return serving and all(self.weights.values()) and all(part.is_ready for part in self.components)

    def as_data(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "stack": self.stack,
            "namespace": self.namespace,
            "ready": self.ready,
            "components": [asdict(part) | {"is_ready": part.is_ready} for part in self.components],
            "jobs": [asdict(job) for job in self.jobs],
            "slots": [asdict(slot) for slot in self.slots],
            "weights": {model: dict(weights) for model, weights in self.weights.items()},
        }


async def read_report(kubectl: Kubectl, outputs: StackOutputs, stack: str) -> StatusReport:
    """Read the state of a platform from its cluster and its slots.

    Raises:
        UserError: the cluster does not answer.
    """
    namespaces = list(dict.fromkeys([outputs.namespace, outputs.gateway.namespace]))
    listed = await together(
        *(kubectl.items(namespace, _WORKLOADS) for namespace in namespaces),
        kubectl.items(outputs.namespace, _SPLITS),
    )
    *per_namespace, splits = listed
    own_pods = [item for item in per_namespace[0] if item["kind"] == "Pod"]
    slots = await read_slots(kubectl, outputs, own_pods)
    slot_deployments = {slot.deployment for model in outputs.models.values() for slot in model.slots.values()}
    components: list[Workload] = []
    jobs: list[UnfinishedJob] = []
    for items in per_namespace:
        pods = [item for item in items if item["kind"] == "Pod"]
        jobs += unfinished_jobs((item for item in items if item["kind"] == "Job"), pods)
        components += [
            examine(item, pods)
            for item in items
            if item["kind"] in ("Deployment", "StatefulSet") and item["metadata"]["name"] not in slot_deployments
        ]
    by_name = {split["metadata"]["name"]: split for split in splits}
    return StatusReport(
        stack=stack,
        namespace=outputs.namespace,
        components=tuple(components),
        jobs=tuple(jobs),
        slots=tuple(slots),
        weights={name: split_weights(by_name.get(model.split, {})) for name, model in outputs.models.items()},
    )
