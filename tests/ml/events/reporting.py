"""Applications that report outcomes: a store, its clock, and short words for what happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ml.events.counting import Outcome
from ml.events.ports import OutcomeSums
from ml.experiments.assignment import assign
from tests.ml.events.lives import spec

MODEL = "content_quality_model"
SALT = f"{MODEL}-03"
START = 1_800_000_000.0
OnOutcomes = Callable[[Callable[["World"], Awaitable[Any]]], Any]


def user_in(arm: int, weights: tuple[int, ...] = (500, 500), skip: int = 0) -> str:
    """A user whom the gateway gives this place among the arms."""
    found = (f"user-{i}" for i in range(10_000) if assign([f"user-{i}"], weights, SALT)[0] == arm)
    return [next(found) for _ in range(skip + 1)][-1]


class World:
    """A store, its clock, and short words for what happens."""

    def __init__(self, make: Callable[[Callable[[], float]], Any]) -> None:
        self.now = START + 100.0
        self.store: Any = make(lambda: self.now)
        self._ids = 0

    async def open(self, experiment: str = "x", weights: Mapping[str, int] | None = None, **changes: Any) -> None:
        await self.store.open_experiment(experiment, MODEL, spec(**changes), SALT, START)
        await self.store.start_epoch(experiment, 0, weights or {"stable": 500, "candidate-a": 500}, START)

    async def tell(self, *outcomes: Outcome) -> list[str]:
        return [result.status for result in await self.store.ingest(outcomes)]

    def outcome(self, user: str | None = "u", **fields: Any) -> Outcome:
        self._ids += 1
        base: dict[str, Any] = {"id": f"o{self._ids}", "model": MODEL, "at": self.now, "user_id": user}
        return Outcome(**{**base, **fields})

    async def sums(self, experiment: str = "x") -> OutcomeSums:
        return (await self.store.sums([experiment]))[experiment]
