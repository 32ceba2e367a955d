"""What each slot of each model serves, as its version sync says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.status.workloads import container_problems, pod_reason, restarts_of
from ml.cli.together import together
from ml.contracts import MODEL_LABEL, SLOT_LABEL, SYNC_PORT

_STATUS_TIMEOUT_SECONDS: Final = 12.0
NO_POD: Final = "no pod"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, kw_only=True)
class SlotStatus:
    """One pod of a slot, or the slot itself when it has none."""

    model: str
    slot: str
    alias: str
    pod: str
    """Name of the pod; empty when there is none."""
    ready: bool
    """Whether it gets requests."""
    restarts: int
    """Restarts of its containers."""
    wanted_version: str
    """Version that the alias names; empty when it names none."""
    served_version: str
    """Version that answers requests; empty when none does."""
    state: str
    """Phase of the version sync, or why there is none."""
    error: str
    """Why it does not serve what it should; empty when it does."""


async def read_slots(kubectl: Kubectl, outputs: StackOutputs, pods: Sequence[Mapping[str, Any]]) -> list[SlotStatus]:
    """Ask the version sync of every slot."""
    found = [
        (name, slot, own or [None])
        for name, model in outputs.models.items()
        for slot in model.slots
        for own in [[pod for pod in pods if _serves(pod, model.service, slot)]]
    ]
    return await together(
        *(_read_slot(kubectl, outputs, name, slot, pod) for name, slot, slot_pods in found for pod in slot_pods)
    )


async def _read_slot(
    kubectl: Kubectl, outputs: StackOutputs, model: str, slot: str, pod: Mapping[str, Any] | None
) -> SlotStatus:
    alias = outputs.models[model].slots[slot].alias
    if pod is None:
        return _without_answer(model, slot, alias, pod, NO_POD, "the Deployment has no pod")
    name = str(pod["metadata"]["name"])
    try:
        async with (
            asyncio.timeout(_STATUS_TIMEOUT_SECONDS),
            kubectl.forward(outputs.namespace, f"pod/{name}", SYNC_PORT) as port,
        ):
            endpoint = Endpoint(f"127.0.0.1:{port}", "localhost", f"the sync of {name}")
            answer = cast("object", (await endpoint.ask_well("GET", "/status")).json())
    except (UserError, TimeoutError, ValueError) as error:
        return _without_answer(model, slot, alias, pod, UNKNOWN, pod_reason(pod) or str(error))
    return parse_status(answer, model=model, slot=slot, alias=alias, pod=pod)


def parse_status(answer: object, *, model: str, slot: str, alias: str, pod: Mapping[str, Any]) -> SlotStatus:
    """Read what the version sync of a pod answered (`ml.serving.sync_status.SlotStatus`)."""
    fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    problems = [_text(fields.get("error")), container_problems(pod)]
    if not fields.get("registry_reachable"):
        problems.append("the registry does not answer")
    return SlotStatus(
        model=model,
        slot=slot,
        alias=str(fields.get("alias") or alias),
        pod=str(pod["metadata"]["name"]),
        ready=_is_ready(pod),
        restarts=restarts_of(pod),
        wanted_version=_text(fields.get("wanted_version")),
        served_version=_text(fields.get("serving_version")),
        state=_text(fields.get("phase")) or UNKNOWN,
        error="; ".join(filter(None, problems)),
    )


def _without_answer(
    model: str, slot: str, alias: str, pod: Mapping[str, Any] | None, state: str, error: str
) -> SlotStatus:
    return SlotStatus(
        model=model,
        slot=slot,
        alias=alias,
        pod=str(pod["metadata"]["name"]) if pod else "",
        ready=_is_ready(pod) if pod else False,
        restarts=restarts_of(pod) if pod else 0,
        wanted_version="",
        served_version="",
        state=state,
        error=error,
    )


def _serves(pod: Mapping[str, Any], service: str, slot: str) -> bool:
    metadata = pod["metadata"]
    labels = metadata.get("labels", {})
    return (
        labels.get(MODEL_LABEL) == service and labels.get(SLOT_LABEL) == slot and not metadata.get("deletionTimestamp")
    )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = cast("list[dict[str, str]]", pod.get("status", {}).get("conditions", []))
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
