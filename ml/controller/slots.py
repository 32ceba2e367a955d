"""The slots of the models as the cluster has them: `ml.controller.ports.Slots` for real."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, cast

import httpx

from ml.contracts import MODEL_LABEL, SLOT_LABEL, SYNC_PORT, TRAFFIC_ROLE_ROOT, kube_name, slot_alias
from ml.controller.documents import mapping
from ml.controller.pods import address, is_ready
from ml.controller.ports import SlotState, UnavailableError
from ml.controller.recent import Recent
from ml.controller.roots import declared_slots
from ml.controller.traffic import Routes
from ml.kubernetes import ApiError, JsonObject, Resources

_UNKNOWN: Final = -1


class ClusterSlots:
    """Slots by their pods, and by what the version sync beside each model server says."""

    def __init__(self, client: httpx.AsyncClient, routes: Routes, pods: Resources) -> None:
        self._client = client
        self._routes = routes
        self._pods = Recent(partial(pods.list, SLOT_LABEL))
        self._states: dict[tuple[str, str], Recent[SlotState]] = {}

    async def declared(self) -> Mapping[str, Sequence[str]]:
        """Return each served model's slots, in the fixed order, by the model's registry name."""
        return declared_slots((await self._routes.by_role(TRAFFIC_ROLE_ROOT)).values())

    async def state(self, model: str, slot: str) -> SlotState:
        """Return what a slot serves and whether it may get traffic.

        Raises:
            UnavailableError: the API server does not answer.
        """
        key = (model, slot)
        if key not in self._states:
            self._states[key] = Recent(partial(self._look, model, slot))
        return await self._states[key].get()

    async def _look(self, model: str, slot: str) -> SlotState:
        try:
            pods = await self._pods.get()
        except ApiError as error:
            raise UnavailableError(f"pods: {error}") from error
        wanted = {MODEL_LABEL: kube_name(model), SLOT_LABEL: slot}
        mine = [pod for pod in pods if wanted.items() <= mapping(pod["metadata"].get("labels")).items()]
        ready = [pod for pod in mine if is_ready(pod)]
        if not ready:
            return SlotState(
                slot=slot, ready_pods=0, serving_version=None, problem=f"none of {len(mine)} pods of {slot} is ready"
            )
        answers = await asyncio.gather(*(self._version(pod, slot) for pod in ready))
        versions = {version for version, _ in answers}
        problems = [problem for _, problem in answers if problem]
        if len(versions) > 1:
            problems.insert(0, f"pods of {slot} serve different versions")
        version = versions.pop() if len(versions) == 1 else None
        return SlotState(
            slot=slot,
            ready_pods=len(ready),
            serving_version=None if version == _UNKNOWN else version,
            problem="; ".join(problems),
        )

    async def _version(self, pod: JsonObject, slot: str) -> tuple[int, str]:
        """Return what a pod serves and what is wrong with it."""
        name = str(pod["metadata"]["name"])
        try:
            response = await self._client.get(f"http://{address(pod)}:{SYNC_PORT}/status")
            response.raise_for_status()
            status = cast("JsonObject", response.json())
            alias, version = str(status["alias"]), status["serving_version"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return _UNKNOWN, f"{name}: {type(error).__name__} {error}"
        if alias != slot_alias(slot):
            return _UNKNOWN, f"{name}: follows {alias!r} instead of {slot_alias(slot)!r}"
        if not isinstance(version, int) or isinstance(version, bool):
            return _UNKNOWN, f"{name}: serves no version"
        return version, str(status.get("error") or "")
