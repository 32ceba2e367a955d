"""One controller acts, the others stand by: leader election by a Kubernetes Lease.

Clocks of different machines are never compared. A candidate takes the lease only after it has *observed* it unchanged
for its whole duration, by its own monotonic clock; a leader counts its right to act from before it asked for the
renewal. So the leader has stopped by the time another can begin, however their clocks differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ml.controller.ports import UnavailableError
from ml.kubernetes import ApiError, ConflictError, JsonObject, NotFoundError, Resources

LOG: Final = logging.getLogger(__name__)
API_VERSION: Final = "coordination.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long things last; the defaults hand over within 3 s when the leader leaves, within 12 s when it is killed."""

    duration_seconds: int = 10
    """Others keep off for this long after a renewal."""
    acting_seconds: float = 6.0
    """The leader acts for this long after it began to renew: less, so that a write under way ends in time."""
    renew_seconds: float = 2.0
    retry_seconds: float = 1.0


class Election:
    """Takes part in the election, and runs something while elected."""

    def __init__(
        self,
        leases: Resources,
        *,
        name: str,
        namespace: str,
        identity: str,
        timing: Timing = Timing(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._timing = timing
        self._clock = clock
        self._acting_until = 0.0
        self._seen: tuple[tuple[str, str, int], float] | None = None

    @property
    def is_leader(self) -> bool:
        """Whether this process may act at this moment."""
        return self._clock() < self._acting_until

    def fence(self) -> None:
        """Let a write pass while this process leads.

        Raises:
            UnavailableError: it does not, or not for certain.
        """
        if not self.is_leader:
            raise UnavailableError("not the leader (any more): nothing is written")

    async def run(self, lead: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Stand for election until told to stop; run `lead` while elected, cancel it when not any more."""
        leading: asyncio.Task[None] | None = None
        try:
            while not stop.is_set():
                renewed = await self._try_once()
                if leading is not None and (leading.done() or not self.is_leader):
                    LOG.warning("%s: not leading any more", self._identity)
                    await _end(leading)
                    leading = None
                if leading is None and self.is_leader:
                    LOG.info("%s: leading", self._identity)
                    leading = asyncio.ensure_future(_running(lead))
                await self._pause(stop, leading, self._timing.renew_seconds if renewed else self._timing.retry_seconds)
        finally:
            if leading is not None:
                await _end(leading)
            await self._release()

    async def _pause(self, stop: asyncio.Event, leading: asyncio.Task[None] | None, seconds: float) -> None:
        """Wait for the next renewal or attempt, but not past the end of the right to act."""
        if leading is not None:
            seconds = max(0.0, min(seconds, self._acting_until - self._clock()))
        waiting = [asyncio.ensure_future(stop.wait()), *([leading] if leading is not None else [])]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()

    async def _try_once(self) -> bool:
        """Renew the lease, take it if it is free, or see that it is another's; return whether it is ours now."""
        started = self._clock()
        # No answer in time is no answer: the right to act must not end while this waits.
        limit = max(0.1, min(self._timing.renew_seconds, self._acting_until - started if self.is_leader else 60.0))
        try:
            async with asyncio.timeout(limit):
                held = await self._write(await self._leases.get(self._name), started)
        except ConflictError as error:
            LOG.info("lease: somebody else was first: %s", error)
            self._acting_until = 0.0
        except (ApiError, TimeoutError) as error:
            LOG.warning("lease: %s %s", type(error).__name__, error)
        else:
            self._acting_until = started + self._timing.acting_seconds if held else 0.0
            return held
        return False

    async def _write(self, lease: JsonObject | None, now: float) -> bool:
        """Return whether the lease is ours now."""
        if lease is None:
            await self._leases.create(self._manifest({}, {}))
            return True
        spec: Mapping[str, Any] = lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if holder not in ("", self._identity) and not self._is_expired(lease, spec, now):
            return False
        try:
            await self._leases.replace(self._manifest(lease["metadata"], spec))
        except NotFoundError as error:
            raise ApiError(f"the lease was deleted meanwhile: {error}") from error
        return True

    def _is_expired(self, lease: Mapping[str, Any], spec: Mapping[str, Any], now: float) -> bool:
        """Return whether another's lease was seen unchanged for as long as it lasts."""
        lasts = int(spec.get("leaseDurationSeconds") or self._timing.duration_seconds)
        state = (str(lease["metadata"].get("uid")), str(lease["metadata"].get("resourceVersion")), lasts)
        if self._seen is None or self._seen[0] != state:
            self._seen = (state, self._clock())
        return now - self._seen[1] >= lasts

    def _manifest(self, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> JsonObject:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_mine = spec.get("holderIdentity") == self._identity
        changes = int(spec.get("leaseTransitions") or 0) + (0 if is_mine or not spec else 1)
        return {
            "apiVersion": API_VERSION,
            "kind": "Lease",
            "metadata": {**metadata, "name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._timing.duration_seconds,
                "acquireTime": spec.get("acquireTime") if is_mine else moment,
                "renewTime": moment,
                "leaseTransitions": changes,
            },
        }

    async def _release(self) -> None:
        """Let the next one begin at once, if the lease is ours."""
        was_leader, self._acting_until = self.is_leader, 0.0
        if not was_leader:
            return
        try:
            async with asyncio.timeout(self._timing.renew_seconds):
                lease = await self._leases.get(self._name)
                if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                    await self._leases.replace({**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
                    LOG.info("%s: the lease is released", self._identity)
        except (ApiError, TimeoutError) as error:
            LOG.warning("lease: not released, it runs out by itself: %s %s", type(error).__name__, error)


async def _running(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await task
        except Exception:
            LOG.exception("the leader's work ended with an error")
