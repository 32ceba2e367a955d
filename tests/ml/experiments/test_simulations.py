"""The simulations of `make simulate`, smaller and seeded: every promise they print must hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from bench.simulate import family, peeking, ramps, sizes, tails, whole
from bench.simulate.report import Line, at_least, at_most
from ml.experiments.decision import decide
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.looks import spending_path
from ml.experiments.ratio import mean_sums
from ml.experiments.specification import ExperimentSpec, PrimaryMetric, Ramp

SMALL: dict[str, Callable[[], Iterable[Line]]] = {
    "sizes": sizes.lines,
    "peeking": lambda: peeking.lines(1_000, 1, ("1 h",)),
    "tails": lambda: tails.lines(200, 2),
    "ramps": lambda: ramps.lines(200, 3),
    "family": lambda: family.lines(500, 4),
    "whole": lambda: whole.lines(100, 5),
}


@pytest.mark.parametrize("part", SMALL)
def test_promise_holds_when_simulated_with_a_fixed_seed(part: str) -> None:
    broken = [str(line) for line in SMALL[part]() if not line.holds]
    assert broken == []


def test_independent_version_fails_when_requests_of_a_user_agree() -> None:
    rng = np.random.default_rng(5)
    found = [tails.ever_found(rng, 2_000, 0.5, 0.0) for _ in range(150)]
    assert sum(b for _, b in found) / 150 > 0.1
    assert sum(a for a, _ in found) / 150 < 0.08


def test_bars_are_judged_rightly_when_figures_lie_on_either_side() -> None:
    assert at_most("x", 53, 1_000, 0.05).holds
    assert not at_most("x", 80, 1_000, 0.05).holds
    assert at_least("x", 85, 100, 0.8).holds
    assert not at_least("x", 75, 100, 0.8).holds
    assert str(at_most("x", 80, 1_000, 0.05)).startswith("FAIL")


def test_simulated_boundaries_are_those_of_decide_when_one_path_is_followed() -> None:
    primary = PrimaryMetric(name="m", better="increase", minimum_effect=0.1, baseline=0.0, standard_deviation=1.0)
    spec = ExperimentSpec(
        control="s", treatments=("t",), shares=(0.5,), primary=primary, planned_n=6_000, ramp=Ramp(seconds=0.0)
    )
    rng = np.random.default_rng(6)
    looks: list[LookRecord] = []
    totals = np.zeros((2, 2))
    fractions = [k / 30 for k in range(5, 30)]
    for fraction in fractions:
        n = round(fraction * 6_000)
        values = rng.normal(size=(2, n - (round(6_000 * (fraction - 1 / 30)) if looks else 0)))
        totals += np.column_stack([values.sum(axis=1), (values**2).sum(axis=1)])
        metrics = {"m": {arm: mean_sums(n, *totals[k]) for k, arm in enumerate(("s", "t"))}}
        record = EpochRecord(started_at=0.0, weights={"s": 500, "t": 500}, units={}, metrics=metrics)
        decision = decide(spec, History(started_at=0.0, epochs=(record,), looks=tuple(looks), last_data_at=9.0), 10.0)
        assert decision.look is not None
        looks.append(decision.look)
        primary_evidence = next(item for item in decision.evidence if item.role == "primary")
        path = spending_path(spec.spending, spec.promotion_alpha, tuple(look.fractions["t"] for look in looks))
        assert primary_evidence.boundary == path.looks[-1].boundary


def test_command_line_runs_and_refuses_when_asked_for_parts() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "bench.simulate"]
    good = subprocess.run([*command, "sizes"], cwd=root, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout
    assert "0 promises broken" in good.stdout
    bad = subprocess.run([*command, "nonsense"], cwd=root, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "nonsense" in bad.stderr
