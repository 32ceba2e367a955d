"""Connects the watch of VirtualServices and ABTests to the keeper and the loop.

Only `on.event` is used: every other kind of handler makes kopf write finalizers or annotations, and none of these
objects belongs to the controller. Such handlers get no second try from kopf, so the keeper has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import kopf

from ml.controller.keeper import Backoffs, SplitKeeper
from ml.controller.loop import Wakes
from ml.controller.splits import model_of
from ml.kubernetes import AB_TESTS, VIRTUAL_SERVICES, ApiError

_STARTUP_RETRY_SECONDS: Final = 2.0


class KindCheck(Protocol):
    """Somebody who knows whether the cluster has a kind."""

    async def check_kind(self) -> None:
        """Make sure that the API server can be reached and knows the kind."""
        ...


class Watcher:
    """Turns events of objects into work, in the leader; a controller that stands by only watches."""

    def __init__(self, keeper: SplitKeeper, wakes: Wakes, *, is_leader: Callable[[], bool]) -> None:
        self._keeper = keeper
        self._wakes = wakes
        self._is_leader = is_leader
        self._seen: dict[str, object] = {}

    async def heed_route(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """A root or a split was made, changed or deleted."""
        model = model_of(body)
        if model is None:
            return
        if self._is_new(event, body):
            self._wakes.model(model)
        if self._is_leader():
            await self._keeper.keep(model)

    async def heed_test(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """An `ABTest` was made, changed or deleted; changes of its status are the controller's own."""
        if self._is_new(event, body):
            self._wakes.test(str(body["metadata"]["uid"]))

    def _is_new(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        metadata = body["metadata"]
        uid = str(metadata.get("uid"))
        if event.get("type") == "DELETED":
            self._seen.pop(uid, None)
            return True
        # The generation counts changes of the spec; a command is an annotation.
        state = (
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            dict(metadata.get("annotations") or {}),
            dict(metadata.get("labels") or {}),
        )
        changed = self._seen.get(uid) != state
        self._seen[uid] = state
        return changed


def build_registry(
    kinds: Sequence[KindCheck], watcher: Watcher, *, started: Callable[[], Awaitable[None]] | None = None
) -> kopf.OperatorRegistry:
    """Return the handlers of the controller; `started` is called once the watch may begin."""
    registry = kopf.OperatorRegistry()

    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True  # a namespaced role may not list CRDs or namespaces
        settings.networking.error_backoffs = Backoffs()
        settings.networking.connect_timeout = 10.0
        try:
            await asyncio.gather(*(kind.check_kind() for kind in kinds))
        except ApiError as error:
            raise kopf.TemporaryError(str(error), delay=_STARTUP_RETRY_SECONDS) from error
        if started is not None:
            await started()

    async def heed_route(event: Mapping[str, Any], body: Mapping[str, Any], **_: Any) -> None:
        await watcher.heed_route(event, body)

    async def heed_test(event: Mapping[str, Any], body: Mapping[str, Any], **_: Any) -> None:
        await watcher.heed_test(event, body)

    kopf.on.startup(registry=registry)(configure)
    for kind, heed in ((VIRTUAL_SERVICES, heed_route), (AB_TESTS, heed_test)):
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(heed)
    kopf.on.login(registry=registry)(login)
    return registry


def login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Find credentials for the watch: the pod's service account, else the kubeconfig."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
