"""What the gateways really do with a model's requests, read from their own configuration.

A split VirtualService says what is wanted. Between it and the gateway are two programs that may be away, refuse an
update and keep the old one; so weights count only when every gateway itself has been seen to have them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import httpx

from ml.contracts import GATEWAY_ADMIN_PORT, SALT_COUNT, experiment_salt, gateway_route_name
from ml.controller.documents import mapping, objects
from ml.controller.pods import address, is_ready
from ml.controller.ports import Mirror, RouteState, UnavailableError
from ml.controller.recent import Recent
from ml.controller.splits import route_with
from ml.experiments.assignment import salt_pattern
from ml.kubernetes import ApiError, JsonObject, Resources

LOG: Final = logging.getLogger(__name__)
_DUMP_PATH: Final = "/config_dump?resource=dynamic_route_configs"
_PERCENT_OF: Final = {"HUNDRED": 1.0, "TEN_THOUSAND": 100.0, "MILLION": 10_000.0}
"""Envoy's denominators, by how many of them make one percent."""


class ReadBack(Protocol):
    """How to learn what is in force."""

    async def in_force(self, model: str, written: RouteState) -> RouteState | None:
        """Return what every gateway has of a model; None while they differ or do not know it."""
        ...

    def forget(self) -> None:
        """Something was written: look anew."""
        ...


class ConfigDumps:
    """Reads each gateway pod's configuration, where its port offers that."""

    def __init__(self, client: httpx.AsyncClient, pods: Resources, selector: str) -> None:
        self._client = client
        self._pods = pods
        self._selector = selector
        self._routes = Recent(self._read)

    async def in_force(self, model: str, written: RouteState) -> RouteState | None:
        """Return what every gateway has of a model; None while they differ or do not know it.

        Raises:
            UnavailableError: a gateway did not tell.
        """
        states = [route_state(routes, model, tuple(written.weights)) for routes in await self._routes.get()]
        if not states or any(state is None or state != states[0] for state in states):
            return None
        return states[0]

    def forget(self) -> None:
        """Something was written: look anew."""
        self._routes.forget()

    async def _read(self) -> list[dict[str, list[JsonObject]]]:
        try:
            pods = await self._pods.list(self._selector)
        except ApiError as error:
            raise UnavailableError(f"gateway pods: {error}") from error
        # A pod that is not ready or is leaving gets no new connections.
        return list(await asyncio.gather(*(self._dump(pod) for pod in pods if is_ready(pod))))

    async def _dump(self, pod: JsonObject) -> dict[str, list[JsonObject]]:
        url = f"http://{address(pod)}:{GATEWAY_ADMIN_PORT}{_DUMP_PATH}"
        try:
            response = await self._client.get(url)
            response.raise_for_status()
            return routes_by_name(response.json())
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"gateway {pod['metadata']['name']}: {type(error).__name__} {error}") from error


class Settled:
    """Takes what is written as in force once it has stood for a while; for gateways that tell nothing."""

    def __init__(self, settle_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._since: dict[str, tuple[RouteState, float]] = {}

    async def in_force(self, model: str, written: RouteState) -> RouteState | None:
        """Return what is written if it has been so for long enough."""
        if not self._since:
            LOG.warning("gateways are not read back: weights count %g s after they were written", self._settle_seconds)
        known = self._since.get(model)
        if known is None or known[0] != written:
            known = self._since[model] = (written, self._clock())
        return written if self._clock() - known[1] >= self._settle_seconds else None

    def forget(self) -> None:
        """Nothing is kept that could be outdated."""


def routes_by_name(dump: object) -> dict[str, list[JsonObject]]:
    """Return the actions of all named routes in an Envoy configuration dump; several routes may share a name.

    Raises:
        ValueError: it is no such dump.
    """
    if not isinstance(dump, dict) or not isinstance(mapping(cast("object", dump)).get("configs", []), list):
        raise ValueError("not a configuration dump of Envoy")  # noqa: TRY004 the answer is wrong, not the argument
    found: dict[str, list[JsonObject]] = {}
    for config in objects(mapping(cast("object", dump)).get("configs")):
        for host in objects(mapping(config.get("route_config")).get("virtual_hosts")):
            for route in objects(host.get("routes")):
                found.setdefault(str(route.get("name", "")), []).append(mapping(route.get("route")))
    return found


def route_state(
    routes: Mapping[str, Sequence[Mapping[str, Any]]], model: str, slots: Sequence[str]
) -> RouteState | None:
    """Return what one gateway does with a model's requests.

    The mesh leaves out destinations without weight; they are filled in for the slots. None if the gateway does not
    know the model, has routes for it that contradict each other, or does not hash users by the route's salt: a
    split that is not sticky must not be measured.
    """
    found = [
        (index, action) for index in range(SALT_COUNT) for action in routes.get(gateway_route_name(model, index), ())
    ]
    states = [route_with(slots, _weights(action), index, _mirror(action)) for index, action in found]
    agree = bool(states) and all(state == states[0] for state in states)
    if not agree or not all(_is_salted(action, experiment_salt(model, index)) for index, action in found):
        return None
    return states[0] if any(states[0].weights.values()) else None


def _weights(action: Mapping[str, Any]) -> list[tuple[str, int]]:
    entries = objects(mapping(action.get("weighted_clusters")).get("clusters"))
    return [(_slot(entry.get("name")), int(entry.get("weight") or 0)) for entry in entries]


def _is_salted(action: Mapping[str, Any], salt: str) -> bool:
    _, substitution = salt_pattern(salt)
    headers = [mapping(policy.get("header")) for policy in objects(action.get("hash_policy"))]
    return bool(mapping(action.get("weighted_clusters")).get("use_hash_policy")) and any(
        mapping(header.get("regex_rewrite")).get("substitution") == substitution for header in headers
    )


def _mirror(action: Mapping[str, Any]) -> Mirror | None:
    for policy in objects(action.get("request_mirror_policies")):
        slot = _slot(policy.get("cluster"))
        share = mapping(mapping(policy.get("runtime_fraction")).get("default_value"))
        unit = _PERCENT_OF.get(str(share.get("denominator", "HUNDRED")), 1.0)
        if slot:
            return Mirror(slot=slot, percent=float(share.get("numerator", 100 * unit)) / unit)
    return None


def _slot(cluster: object) -> str:
    """Return the subset in a cluster's name, which is `outbound|PORT|SUBSET|HOST`."""
    parts = str(cluster).split("|")
    return parts[2] if len(parts) == 4 else ""
