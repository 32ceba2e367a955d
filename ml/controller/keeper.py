"""Makes the cluster hold what `splits` decides, however long the API server is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from ml.contracts import root_route_name, split_route_name
from ml.controller.ports import UnavailableError
from ml.controller.roots import InvalidRootError, parse_root
from ml.controller.splits import plan_split
from ml.kubernetes import ApiError, ConflictError, JsonObject

LOG: Final = logging.getLogger(__name__)
LONGEST_WAIT_SECONDS: Final = 30.0


class Store(Protocol):
    """Where VirtualServices are read and written; see `VirtualServices`."""

    async def get(self, name: str) -> JsonObject | None:
        """Return a VirtualService, or None when there is none of that name."""
        ...

    async def apply(self, manifest: JsonObject) -> None:
        """Write the fields of a manifest."""
        ...


class Backoffs:
    """Waiting times in seconds between attempts: doubling from one second, then steady, without end."""

    def __iter__(self) -> Iterator[float]:
        wait = 1.0
        while True:
            yield wait
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


class SplitKeeper:
    """Keeps the split of each model."""

    def __init__(
        self,
        store: Store,
        *,
        timeout_seconds: int,
        fence: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._timeout_seconds = timeout_seconds
        self._fence = fence
        self._sleep = sleep

    async def keep(self, model: str) -> None:
        """Bring the model's split to what its root says; try again until that is done or there is no root."""
        for wait_seconds in Backoffs():
            try:
                await self._keep_once(model)
            except ConflictError as error:
                LOG.info("%s: the split changed meanwhile, deciding again: %s", model, error)
            except UnavailableError:
                return  # another controller leads now, and keeps all splits when it begins
            except InvalidRootError as error:
                # Only a change of the root can repair this, and that change is an event of its own.
                LOG.error("%s: split left as it is: %s", model, error)  # noqa: TRY400 a trace says no more
                return
            except ApiError as error:
                LOG.warning("%s: trying again in %g s: %s", model, wait_seconds, error)
            else:
                return
            await self._sleep(wait_seconds)

    async def _keep_once(self, model: str) -> None:
        body = await self._store.get(root_route_name(model))
        if body is None or body["metadata"].get("deletionTimestamp"):
            return  # the split goes with its owner
        root = parse_root(body)
        existing = await self._store.get(split_route_name(model))
        plan = plan_split(root, existing, timeout_seconds=self._timeout_seconds)
        for problem in plan.problems:
            LOG.error("%s", problem)
        if plan.manifest is None:
            return
        self._fence()
        await self._store.apply(plan.manifest)
        LOG.info("%s: split %s, slots %s", model, "adapted" if plan.exists else "created", ", ".join(root.slots))
