"""Harmful candidates whose primary has its sample before the guardrails have theirs, and sound ones beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ml.controller.ports import RequestWindow
from ml.events.ports import EpochOutcomes, OutcomeSums
from ml.experiments.ratio import proportion_sums
from tests.ml.controller.core.simulated_model import Arm
from tests.ml.controller.core.simulated_ports import SimulatedOutcomes, SimulatedRequests
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import World

LAG_SECONDS = 10.0
"""By how much the gateway's counts come after the outcomes."""
SLOW_STREAM: Mapping[str, Any] = {
    "minSampleSize": 1000,
    "primary": {"name": "converted", "baseline": 0.5, "minimumEffect": 0.07},
    "noData": {"staleAfterSeconds": 120, "timeoutSeconds": 600},
    "expectedUnitsPerDay": 5_184_000,
}
"""The primary has its sample as soon as it has the minimum."""


def world_with_late_scrapes(monkeypatch: pytest.MonkeyPatch, **candidate: float) -> World:
    arm = replace(Arm(version=5, converts=0.7), **candidate)  # pyright: ignore[reportArgumentType] only rates are given
    world = World(("stable", Arm(version=4)), ("candidate-a", arm), users_per_second=120)
    at_once = SimulatedRequests.since

    async def since(self: SimulatedRequests, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        seen = world.now - LAG_SECONDS
        found = await at_once(self, moments)
        return {m: replace(w, counts=[c for c in w.counts if c.ended_at <= seen]) for m, w in found.items()}

    monkeypatch.setattr(SimulatedRequests, "since", since)
    return world


def run_to_end(world: World) -> str:
    state = world.run_to_end()
    check_record(world)
    return state.phase


@pytest.mark.parametrize("harm", [{"fails": 1.0}, {"fails": 1.0, "slow": 1.0}, {"slow": 1.0}])
def test_candidate_is_rolled_back_when_its_primary_is_ready_before_its_failures(
    monkeypatch: pytest.MonkeyPatch, harm: dict[str, float]
) -> None:
    world = world_with_late_scrapes(monkeypatch, **harm)
    world.create(**SLOW_STREAM)
    assert run_to_end(world) == "RolledBack"
    assert world.champion_moves == []


def test_sound_candidate_is_promoted_when_its_primary_is_ready_before_its_guardrails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_with_late_scrapes(monkeypatch)
    world.create(**SLOW_STREAM)
    assert run_to_end(world) == "Promoted"


def report_correct(monkeypatch: pytest.MonkeyPatch, parts: Mapping[str, float]) -> None:
    """Let applications report `correct` for a part of the users of each arm, and for nobody in other arms."""
    of_everybody = SimulatedOutcomes._sums  # pyright: ignore[reportPrivateUsage] the simulated store's own answer

    def sums(self: SimulatedOutcomes, uid: str) -> OutcomeSums:
        found = of_everybody(self, uid)
        epochs: dict[int, EpochOutcomes] = {}
        for index, epoch in found.epochs.items():
            correct = {
                arm: proportion_sums(round(item.numerator * parts[arm]), round(item.n * parts[arm]))
                for arm, item in epoch.metrics["correct"].items()
                if arm in parts
            }
            epochs[index] = EpochOutcomes(units=epoch.units, metrics={**epoch.metrics, "correct": correct})
        return OutcomeSums(epochs=epochs, newest_at=found.newest_at)

    monkeypatch.setattr(SimulatedOutcomes, "_sums", sums)


@pytest.mark.parametrize(("correct", "promoted"), [(0.0, False), (0.9, True)])
def test_candidate_is_promoted_only_if_right_when_every_tenth_user_is_reported_on(
    monkeypatch: pytest.MonkeyPatch, correct: float, promoted: bool
) -> None:
    report_correct(monkeypatch, {"stable": 0.1, "candidate-a": 0.1})
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5, correct=correct, converts=0.56)))
    world.create()
    phase = run_to_end(world)
    assert (phase == "Promoted") == promoted
    assert bool(world.champion_moves) == promoted


@pytest.mark.parametrize("arm", ["stable", "candidate-a"])
def test_candidate_is_not_promoted_when_an_outcome_is_reported_for_one_arm(
    monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    report_correct(monkeypatch, {arm: 1.0})
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5, correct=0.0, converts=0.6)))
    world.create()
    assert run_to_end(world) == "Inconclusive"
    assert {r["code"] for r in world.state().decision["reasons"]} == {"guardrail_unproven", "time_up"}


def test_candidate_is_promoted_when_nobody_reports_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    report_correct(monkeypatch, {})
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5, converts=0.6)))
    world.create()
    assert run_to_end(world) == "Promoted"


def test_experiment_ends_with_its_time_when_the_primary_of_an_arm_is_never_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_everybody = SimulatedOutcomes._sums  # pyright: ignore[reportPrivateUsage] the simulated store's own answer

    def sums(self: SimulatedOutcomes, uid: str) -> OutcomeSums:
        found = of_everybody(self, uid)
        epochs = {
            index: replace(
                epoch,
                metrics={
                    **epoch.metrics,
                    "converted": {a: s for a, s in epoch.metrics["converted"].items() if a == "stable"},
                },
            )
            for index, epoch in found.epochs.items()
        }
        return OutcomeSums(epochs=epochs, newest_at=found.newest_at)

    monkeypatch.setattr(SimulatedOutcomes, "_sums", sums)
    world = World(("stable", Arm(version=4)), ("candidate-a", Arm(version=5)))
    world.create(durationSeconds=300)
    world.run(400)
    assert world.state().phase == "Inconclusive"
    assert [r["code"] for r in world.state().decision["reasons"]] == ["metric_missing", "time_up"]
    assert world.in_force.weights == {"stable": 1000, "candidate-a": 0}
