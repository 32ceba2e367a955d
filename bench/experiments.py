"""The experiments library: each promised figure next to its bar, and other tools measured side by side.

The other tools run in environments of their own (their dependencies contradict ours), made by uv; where uv cannot
make one, the line says so. The shortest of several runs is given: what else the machine does only adds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ml.experiments.assignment import assign
from ml.experiments.boundaries import SpendingPath, spending_boundaries
from ml.experiments.decision import decide
from ml.experiments.evidence import Evidence
from ml.experiments.exceedance import sequential_exceedance_test
from ml.experiments.history import EpochRecord, History
from ml.experiments.looks import forget_paths
from ml.experiments.means import moments_from_data, moments_from_sums, welch_t_test
from ml.experiments.proportions import newcombe_interval
from ml.experiments.ratio import RatioSums, proportion_sums
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric
from ml.experiments.spending import OBRIEN_FLEMING, POCOCK, Spending

_PEERS = {"spotify": "spotify-confidence==4.1.0", "growthbook": "gbstats==0.8.0"}
_PEER_SECONDS = 600
_USERS = 1_000_000
# rpact 3.3.4 (asOF, five equal looks), four digits as it prints them.
_RPACT = (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)


def run() -> list[str]:
    """Measure and return a Markdown table and notes."""
    lines = ["| what | figure | bar |", "|---|---:|---:|"]
    lines += [*_boundaries(), *_decisions(), *_assignment(), *_small_tests()]
    return [*lines, *_peers()]


def _milliseconds(action: Callable[[], object], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - started)
    return 1e3 * best


def _row(what: str, milliseconds: float, bar: str) -> str:
    return f"| {what} | {milliseconds:.3g} ms | {bar} |"


def _boundaries() -> list[str]:
    rows: list[str] = []
    for looks, bar, repeats in ((120, "150 ms", 5), (2_880, "5,000 ms", 1)):
        for spending in (OBRIEN_FLEMING, POCOCK):
            elapsed = _milliseconds(
                lambda k=looks, s=spending: spending_boundaries(np.arange(1, k + 1), spending=s), repeats
            )
            rows.append(_row(f"boundaries of {looks:,} looks, {spending.family} spending", elapsed, bar))
    path = SpendingPath(OBRIEN_FLEMING, 0.025, 2).extend([k / 2_880 for k in range(1, 2_000)])
    rows.append(_row("next look after 1,999", _milliseconds(lambda: path.next(2_000 / 2_880), 20), "10 ms"))
    gap = max(abs(a.boundary - b) for a, b in zip(spending_boundaries([1, 2, 3, 4, 5]), _RPACT, strict=True))
    rows.append(f"| largest difference from rpact's printed boundaries | {gap:.1e} | 1e-4 |")
    return rows


def experiment(epochs: int) -> tuple[ExperimentSpec, History]:
    """An experiment with ten metrics and three arms, all quiet."""
    rng = np.random.default_rng(1)
    arms = ("stable", "candidate-a", "candidate-b")
    guardrails = tuple(Guardrail(name=f"guardrail-{k}", harmful="increase", margin=0.005) for k in range(9))
    primary = PrimaryMetric(name="primary", better="increase", minimum_effect=0.01, baseline=0.05)
    spec = ExperimentSpec(
        control=arms[0],
        treatments=arms[1:],
        shares=(0.33, 0.33),
        primary=primary,
        planned_n=100_000,
        guardrails=guardrails,
    )
    weights = {"stable": 340, "candidate-a": 330, "candidate-b": 330}
    units = {arm: 10 * weight for arm, weight in weights.items()}
    names = ["primary", *(guardrail.name for guardrail in guardrails)]

    def sums(arm: str) -> RatioSums:
        return proportion_sums(int(np.asarray(rng.binomial(units[arm], 0.05))), units[arm])

    records = tuple(
        EpochRecord(
            started_at=60.0 * k,
            weights=weights,
            units=units,
            metrics={name: {arm: sums(arm) for arm in arms} for name in names},
        )
        for k in range(epochs)
    )
    return spec, History(started_at=0.0, epochs=records, last_data_at=60.0 * epochs)


def _decisions() -> list[str]:
    rows: list[str] = []
    for epochs in (1, 10, 61):
        spec, history = experiment(epochs)
        forget_paths()
        now = 60.0 * epochs + 1.0
        elapsed = _milliseconds(lambda s=spec, h=history, t=now: decide(s, h, t), 30)
        tests: tuple[Evidence, ...] = decide(spec, history, now).evidence
        rows.append(_row(f"decide, 10 metrics x 3 arms, {epochs} epochs, {len(tests)} tests", elapsed, "5 ms"))
    return rows


def _assignment() -> list[str]:
    users = [f"user-{k}" for k in range(_USERS)]
    elapsed = _milliseconds(lambda: assign(users, [900, 100], "experiment"), 2)
    return [f"| hash and place one of {_USERS:,} users | {1e3 * elapsed / _USERS:.2f} us | 2 us |"]


def _small_tests() -> list[str]:
    control, treatment = moments_from_sums(3407, 1396.87, 52377.9767), moments_from_sums(3461, 2422.7, 134698.29)
    rows = [_row("Welch t from sums", _milliseconds(lambda: welch_t_test(control, treatment), 200), "-")]
    rows.append(_row("Newcombe interval", _milliseconds(lambda: newcombe_interval(48, 80, 56, 70), 200), "-"))
    sums = RatioSums(5_000, 2_500.0, 50_000.0, 6_000.0, 520_000.0, 26_000.0)
    elapsed = _milliseconds(lambda: sequential_exceedance_test(sums, sums, tuned_for=2_000), 200)
    rows.append(_row("clustered, always-valid P95 test from sums", elapsed, "-"))
    data = np.random.default_rng(0).normal(size=(2, 1_000_000))
    welch = _milliseconds(lambda: welch_t_test(moments_from_data(data[0]), moments_from_data(data[1])), 3)
    rows.append(_row("Welch t, 1,000,000 values per arm", welch, "-"))
    return rows


def _peers() -> list[str]:
    spotify, growthbook = _peer("spotify"), _peer("growthbook")
    lines: list[str] = []
    if isinstance(spotify, str):
        lines.append(spotify)
    else:
        for looks, theirs in spotify["looks"].items():
            count = int(looks)
            power = Spending("power", spotify["rho"])
            times = np.arange(1, count + 1)
            ours = spending_boundaries(times, spending=power, alpha=spotify["alpha"], sides=1)
            elapsed = _milliseconds(
                lambda t=times, s=power: spending_boundaries(t, spending=s, alpha=spotify["alpha"], sides=1), 3
            )
            gap = max(abs(a.boundary - b) for a, b in zip(ours, theirs["bounds"], strict=True))
            lines.append(
                f"{_PEERS['spotify']}, {looks} looks: {1e3 * theirs['seconds']:,.0f} ms against {elapsed:.3g} ms here; "
                f"largest difference {gap:.1e}"
            )
    if isinstance(growthbook, str):
        lines.append(growthbook)
    else:
        parts = ", ".join(f"{name} {1e3 * case['seconds']:.2f} ms" for name, case in growthbook.items())
        lines.append(f"{_PEERS['growthbook']}: {parts}")
    return lines


def _peer(name: str) -> Any:
    """Return what the peer's script prints, or a sentence that says why it could not be measured."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return f"{_PEERS[name]}: not measured, uv is not installed"
    script = Path(__file__).parent / "peers" / f"{name}.py"
    command = [
        uv,
        "run",
        "--quiet",
        "--no-project",
        "--isolated",
        "--python",
        "3.11",
        "--with",
        _PEERS[name],
        str(script),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PEER_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"{_PEERS[name]}: not measured, {type(error).__name__}"
    return json.loads(done.stdout)
