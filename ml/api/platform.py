"""What is declared in the cluster, as the API needs it; read seldom, since it changes seldom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from ml.contracts import TRAFFIC_ROLE_LABEL, TRAFFIC_ROLE_ROOT
from ml.controller.roots import declared_slots
from ml.kubernetes import ApiError

_FRESH_SECONDS: Final = 5.0
_USABLE_SECONDS: Final = 3600.0
"""For so long what was read last serves while the Kubernetes API does not answer: outcomes must not be lost by that."""


class _Objects(Protocol):
    async def list(self, label_selector: str = "") -> list[dict[str, Any]]: ...


class DeclaredPlatform:
    """Reads the root VirtualServices."""

    def __init__(self, virtual_services: _Objects, clock: Callable[[], float] = time.monotonic) -> None:
        self._virtual_services = virtual_services
        self._clock = clock
        self._slots: Mapping[str, Sequence[str]] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")

    async def slots(self) -> Mapping[str, Sequence[str]]:
        """Return the slots of each served model, in the gateway's order.

        Raises:
            ApiError: the Kubernetes API does not answer, and what was read last is too old.
        """
        now = self._clock()
        if now - self._tried_at < _FRESH_SECONDS and now - self._read_at < _USABLE_SECONDS:
            return self._slots
        self._tried_at = now
        try:
            roots = await self._virtual_services.list(f"{TRAFFIC_ROLE_LABEL}={TRAFFIC_ROLE_ROOT}")
        except ApiError:
            if now - self._read_at < _USABLE_SECONDS:
                return self._slots
            raise
        self._slots, self._read_at = declared_slots(roots), now
        return self._slots
