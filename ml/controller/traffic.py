"""Writes the splits and reads back what became of them: `ml.controller.ports.Traffic` for real."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from ml.contracts import (
    MODEL_LABEL,
    TRAFFIC_ROLE_LABEL,
    TRAFFIC_ROLE_SPLIT,
    kube_name,
    root_route_name,
    split_route_name,
)
from ml.controller.documents import mapping
from ml.controller.gateways import ReadBack
from ml.controller.ports import RouteState, UnavailableError
from ml.controller.recent import Recent
from ml.controller.roots import InvalidRootError, parse_root
from ml.controller.splits import plan_split, route_of
from ml.controller.virtual_services import VirtualServices
from ml.kubernetes import ApiError, ConflictError, JsonObject

LOG: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 3
Fence = Callable[[], None]
"""Raises `UnavailableError` when this process may no longer write."""


class Routes:
    """All root and split VirtualServices, read together and shared for a moment."""

    def __init__(self, api: VirtualServices) -> None:
        self._objects = Recent(api.list)

    async def by_role(self, role: str) -> dict[str, JsonObject]:
        """Return the VirtualServices of a role by the model's name as Kubernetes writes it.

        Raises:
            UnavailableError: the API server does not answer.
        """
        try:
            bodies = await self._objects.get()
        except ApiError as error:
            raise UnavailableError(f"VirtualServices: {error}") from error
        found: dict[str, JsonObject] = {}
        for body in bodies:
            labels = mapping(body["metadata"].get("labels"))
            if labels.get(TRAFFIC_ROLE_LABEL) == role:
                found[str(labels.get(MODEL_LABEL, ""))] = body
        return found

    def forget(self) -> None:
        """Something was written: look anew."""
        self._objects.forget()


class SplitTraffic:
    """The splits of one namespace and the gateways that follow them."""

    def __init__(
        self, api: VirtualServices, routes: Routes, read_back: ReadBack, *, timeout_seconds: int, fence: Fence
    ) -> None:
        self._api = api
        self._routes = routes
        self._read_back = read_back
        self._timeout_seconds = timeout_seconds
        self._fence = fence

    async def set_route(self, model: str, route: RouteState) -> None:
        """Write weights, salt and mirror of a model's split; every slot stays listed, in the fixed order.

        Raises:
            UnavailableError: it could not be written, or may not be by this process any more.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._set_once(model, route)
            except ConflictError as error:
                if attempt == _ATTEMPTS:
                    raise UnavailableError(f"split of {model}: {error}") from error
            except (ApiError, InvalidRootError, ValueError) as error:
                raise UnavailableError(f"split of {model}: {error}") from error
            else:
                return
            finally:
                self._routes.forget()
                self._read_back.forget()

    async def written(self, model: str) -> RouteState | None:
        """Return what the split VirtualService says; None if there is none."""
        split = (await self._routes.by_role(TRAFFIC_ROLE_SPLIT)).get(kube_name(model))
        return None if split is None else route_of(split)

    async def in_force(self, model: str) -> RouteState | None:
        """Return what every gateway really has; None if they differ or do not know the model yet."""
        written = await self.written(model)
        return None if written is None else await self._read_back.in_force(model, written)

    async def _set_once(self, model: str, route: RouteState) -> None:
        body = await self._api.get(root_route_name(model))
        if body is None:
            raise UnavailableError(f"split of {model}: there is no VirtualService {root_route_name(model)}")
        existing = await self._api.get(split_route_name(model))
        plan = plan_split(parse_root(body), existing, timeout_seconds=self._timeout_seconds, wanted=route)
        if plan.manifest is None:
            return
        self._fence()
        await self._api.apply(plan.manifest)
        LOG.info("%s: weights %s, salt %d, mirror %s", model, dict(route.weights), route.salt_index, route.mirror)
