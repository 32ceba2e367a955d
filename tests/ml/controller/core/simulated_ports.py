"""What the simulated world gives the controller in place of real ports; every call passes the world's gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ml.contracts import CHAMPION_ALIAS
from ml.controller.ports import (
    AbTest,
    RequestTotal,
    RequestWindow,
    RouteState,
    SlotState,
    TestGoneError,
    UnavailableError,
)
from ml.events.ports import EpochOutcomes, OutcomeSums, StoreUnavailableError, UnitsSeen
from ml.experiments.ratio import RatioSums, mean_sums
from tests.ml.controller.core.simulated_model import MODEL, Arm

if TYPE_CHECKING:
    from tests.ml.controller.core.world import World


class Killed(BaseException):
    """The controller's process is gone, in the middle of a call."""


Gate = Callable[[str, str, Literal["before", "after"]], None]


def open_gate(port: str, method: str, when: str) -> None:
    """Let every call pass."""


class Port:
    """A port whose calls pass the world's gate before and after their effect."""

    def __init__(self, world: World, name: str, real: object) -> None:
        self._world, self._name, self._real = world, name, real

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            self._world.calls += 1
            self._world.gate(self._name, method, "before")
            answer = await getattr(self._real, method)(*args, **options)
            self._world.gate(self._name, method, "after")
            return answer

        return call


def unavailable(port: str) -> Exception:
    """Return the error by which a port says that it did not get an answer."""
    return StoreUnavailableError(port) if port in ("events", "outcomes") else UnavailableError(port)


class SimulatedTests:
    def __init__(self, world: World) -> None:
        self.world = world

    async def list(self) -> Sequence[AbTest]:
        return list(self.world.tests.values())

    async def write_status(self, test: AbTest, status: Mapping[str, Any]) -> None:
        if test.uid not in self.world.tests:
            raise TestGoneError(test.name)
        self.world.tests[test.uid] = replace(self.world.tests[test.uid], status=status)


class SimulatedTraffic:
    def __init__(self, world: World) -> None:
        self.world = world

    async def set_route(self, model: str, route: RouteState) -> None:
        self.world.route_was_set(model, route)
        self.world.written = route
        self.world.come_into_force(route)

    async def written(self, model: str) -> RouteState | None:
        return self.world.written if model == MODEL else None

    async def in_force(self, model: str) -> RouteState | None:
        return self.world.in_force if model == MODEL and self.world.gateways_agree else None


class SimulatedSlots:
    def __init__(self, world: World) -> None:
        self.world = world

    async def declared(self) -> Mapping[str, Sequence[str]]:
        return {MODEL: self.world.slots}

    async def state(self, _model: str, slot: str) -> SlotState:
        arm = self.world.arms.get(slot, Arm(version=None, ready=False))
        return SlotState(
            slot=slot, ready_pods=1 if arm.ready else 0, serving_version=arm.version if arm.ready else None
        )


class SimulatedRegistry:
    def __init__(self, world: World) -> None:
        self.world = world

    async def alias(self, _model: str, alias: str) -> int | None:
        return self.world.aliases.get(alias)

    async def set_alias(self, model: str, alias: str, version: int) -> None:
        if model != MODEL or alias != CHAMPION_ALIAS:
            self.world.violations.append(f"alias {alias} of {model}")
        if self.world.aliases.get(alias) != version:
            self.world.champion_moves.append(version)
        self.world.aliases[alias] = version
        self.world.load(alias)

    async def delete_alias(self, model: str, alias: str) -> None:
        if model != MODEL or alias == CHAMPION_ALIAS or self.world.in_force.weights.get(alias, 0):
            self.world.violations.append(f"deleted alias {alias} of {model}")
        self.world.aliases.pop(alias, None)
        self.world.load(alias)


class SimulatedRequests:
    def __init__(self, world: World) -> None:
        self.world = world

    async def since(self, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        skew = self.world.skew_seconds
        log = [
            replace(item, started_at=item.started_at + skew, ended_at=item.ended_at + skew)
            for item in self.world.request_log
        ]
        return {
            model: RequestWindow(
                counts=[item for item in log if item.started_at >= moment],
                newest_at=log[-1].ended_at if log else None,
            )
            for model, moment in moments.items()
        }

    async def total(self, _model: str, seconds: float) -> RequestTotal:
        log = [item for item in self.world.request_log if item.ended_at > self.world.now - seconds]
        known = self.world.now - log[0].started_at if log else 0.0
        return RequestTotal(requests=sum(item.requests for item in log), seconds=known)


class SimulatedOutcomes:
    def __init__(self, world: World) -> None:
        self.world = world

    async def open_experiment(
        self, experiment: str, _model: str, _spec: Mapping[str, object], _salt: str, started_at: float
    ) -> None:
        self.world.opened.setdefault(experiment, started_at)

    async def start_epoch(self, experiment: str, index: int, weights: Mapping[str, int], started_at: float) -> None:
        assert (
            sum(weights.values()) in (0, 1000) or self.world.violations.append(f"epoch weights {dict(weights)}") is None
        )
        self.world.epochs.setdefault(experiment, {}).setdefault(index, started_at)

    async def close_experiment(self, experiment: str, ended_at: float) -> None:
        self.world.closed.setdefault(experiment, ended_at)

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        return {uid: self._sums(uid) for uid in experiments if uid in self.world.opened}

    async def seen(self, _model: str, *, by_user: bool, since: float) -> UnitsSeen:
        seen = self.world.seen
        return seen if by_user and (seen.first_at or 0.0) >= since else UnitsSeen(units=0, first_at=None)

    def _sums(self, uid: str) -> OutcomeSums:
        epochs: dict[int, EpochOutcomes] = {}
        for index in self.world.epochs.get(uid, {}):
            entries = {slot: s for (owner, i, slot), s in self.world.sums.items() if (owner, i) == (uid, index)}
            metrics: dict[str, dict[str, RatioSums]] = {
                name: {slot: mean_sums(s.answered, s.hits[name], s.hits[name]) for slot, s in entries.items()}
                for name in ("converted", "correct")
            }
            epochs[index] = EpochOutcomes(units={slot: s.units for slot, s in entries.items()}, metrics=metrics)
        return OutcomeSums(epochs=epochs, newest_at=self.world.newest_outcome)
