"""Is a treatment better? The primary metric's test, and whether there is anything left to wait for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ml.experiments.boundaries import Look, SpendingPath
from ml.experiments.distributions import tail_p_value
from ml.experiments.evidence import Contrast, Evidence, Verdict, harm_evidence, too_little
from ml.experiments.futility import conditional_power
from ml.experiments.history import LookRecord
from ml.experiments.looks import SMALLEST_INCREMENT, spending_path
from ml.experiments.measured import Measurements
from ml.experiments.results import Interval
from ml.experiments.specification import ExperimentSpec

EndCode = Literal["sample_reached", "time_up", "futile"]
_PLANS_TO_WAIT: Final = 2


@dataclass(frozen=True)
class PrimaryClaims:
    """What the primary metric says at this look.

    Attributes:
        evidence: one per active treatment.
        crossed: treatments shown to be better, now or at an earlier look, even if they have got worse since.
        look: alpha spent now; None in open-ended mode, or when too little information has come in.
        ended: code and sentence when nothing more can be won by going on.
    """

    evidence: tuple[Evidence, ...]
    crossed: tuple[str, ...]
    look: LookRecord | None
    ended: tuple[EndCode, str] | None
    improvements: Mapping[str, float]

    def gain(self, arm: str) -> float:
        """Improvement of a treatment, larger is better."""
        return self.improvements.get(arm, -math.inf)

    def awaited(self, spec: ExperimentSpec, ready: Sequence[str]) -> tuple[str, ...]:
        """Return the treatments to wait for before one of the ready ones may win.

        All candidates are weighed on the same terms: the first to have its minimum sample would otherwise win over a
        better one that is a unit short of it. No wait outlasts the experiment, or twice the plan: a treatment with a
        small share does not keep users from a better one for ever. A claim once made stands (`crossed`), so that
        waiting neither costs alpha nor makes a claim.
        """
        units = {item.arm: item.n_treatment for item in self.evidence}
        patience = _PLANS_TO_WAIT * max(spec.planned_n, spec.minimum_n)
        if self.ended is not None or any(units[arm] >= patience for arm in ready):
            return ()
        return tuple(item.arm for item in self.evidence if item.verdict in ("too early", "no data"))


def primary_claims(spec: ExperimentSpec, data: Measurements, now: float, active: Sequence[str]) -> PrimaryClaims:
    """Test whether a treatment improves the primary metric, and whether the experiment is over."""
    history = data.history
    effects = {arm: data.effect(spec.primary.name, spec.control, arm) for arm in active}
    sign = 1.0 if spec.primary.better == "increase" else -1.0
    improvements = {arm: sign * measured.estimate for arm, measured in effects.items()}
    time_up = spec.is_over(now - history.started_at)
    if spec.mode == "open-ended":
        found = [_open_ended(spec, arm, measured, sign) for arm, measured in effects.items()]
        crossed = tuple(item.arm for item in found if item.verdict == "better")
        end = ("time_up", "the time is over") if time_up else None
        return PrimaryClaims(tuple(found), crossed, None, end, improvements)
    found = list[Evidence]()
    looked = dict[str, float]()
    closed = any(look.final for look in history.looks)
    for arm, measured in effects.items():
        past = tuple(look.fractions[arm] for look in history.looks if arm in look.fractions)
        item, fraction = _planned(spec, arm, measured, sign, past, final=time_up, closed=closed)
        found.append(item)
        if fraction is not None:
            looked[arm] = fraction
    before = {arm for look in history.looks for arm in look.crossed}
    crossed_now = tuple(item.arm for item in found if item.verdict == "better")
    crossed = tuple(arm for arm in active if arm in before or arm in crossed_now)
    look = LookRecord(at=now, fractions=looked, crossed=crossed_now, final=time_up) if looked else None
    return PrimaryClaims(
        tuple(found), crossed, look, _ended(spec, found, crossed, effects, time_up=time_up), improvements
    )


def _planned(
    spec: ExperimentSpec,
    arm: str,
    measured: Contrast,
    sign: float,
    past: tuple[float, ...],
    *,
    final: bool,
    closed: bool,
) -> tuple[Evidence, float | None]:
    """Take one look at the planned test; returns the information fraction if alpha was spent."""
    fraction = measured.units_per_arm / spec.planned_n
    last = past[-1] if past else 0.0
    early = too_little(measured, spec.minimum_n)
    if early is None and (closed or last >= 1.0):
        early = "open"  # all alpha is spent
    if early is not None:
        return _silent(spec, arm, measured, early, fraction), None
    path = spending_path(spec.spending, spec.promotion_alpha, past)
    grown = fraction >= last + SMALLEST_INCREMENT or (fraction >= 1.0 > last)
    if final and fraction > last * (1.0 + SMALLEST_INCREMENT):
        look, spent = path.next(fraction, final=True).looks[-1], fraction
    elif grown:
        look, spent = spending_path(spec.spending, spec.promotion_alpha, (*past, fraction)).looks[-1], fraction
    else:
        # Too little is new: the last boundary still stands, and nothing may be claimed between looks.
        return _silent(spec, arm, measured, "open", fraction, path), None
    z = sign * measured.estimate / measured.standard_error
    return _record(spec, arm, measured, "better" if z >= look.boundary else "open", z, look, fraction), spent


def _record(
    spec: ExperimentSpec, arm: str, measured: Contrast, verdict: Verdict, z: float, look: Look, fraction: float
) -> Evidence:
    """The primary's evidence at a look that spent alpha."""
    reach = look.boundary * measured.standard_error
    return replace(
        _silent(spec, arm, measured, verdict, fraction),
        statistic=z,
        boundary=look.boundary,
        interval=Interval(measured.estimate - reach, measured.estimate + reach),
        p_value=tail_p_value(z, "greater"),
    )


def _silent(
    spec: ExperimentSpec,
    arm: str,
    measured: Contrast,
    verdict: Verdict,
    fraction: float,
    path: SpendingPath | None = None,
) -> Evidence:
    """The primary's evidence when no look is taken now; nothing may be claimed between looks."""
    known = measured.standard_error > 0.0
    return Evidence(
        metric=spec.primary.name,
        arm=arm,
        role="primary",
        verdict=verdict,
        method=f"group sequential, {spec.spending.family} spending",
        n_control=measured.n_control,
        n_treatment=measured.n_treatment,
        estimate=measured.estimate if known else None,
        standard_error=measured.standard_error if known else None,
        boundary=path.looks[-1].boundary if path is not None and path.looks else None,
        information_fraction=fraction,
        alpha=spec.promotion_alpha,
    )


def _open_ended(spec: ExperimentSpec, arm: str, measured: Contrast, sign: float) -> Evidence:
    """The same sequence as for harm, turned round: "worse than zero" in the direction of improvement."""
    found = harm_evidence(
        spec.primary.name,
        arm,
        "primary",
        measured,
        harmful_increase=sign > 0,
        null_value=0.0,
        alpha=spec.promotion_alpha,
        tuned_for=float(spec.planned_n),
        minimum_n=spec.minimum_n,
    )
    turned: dict[Verdict, Verdict] = {"worse": "better", "safe": "open", "suspect": "no variance"}
    return replace(found, verdict=turned.get(found.verdict, found.verdict))


def _ended(
    spec: ExperimentSpec,
    found: Sequence[Evidence],
    crossed: Sequence[str],
    effects: Mapping[str, Contrast],
    *,
    time_up: bool,
) -> tuple[EndCode, str] | None:
    if time_up:
        return "time_up", "the time is over"
    undecided = [item for item in found if item.arm not in crossed]
    # A sample that no claim may rest on yet (an arm below the minimum, while a ramp is young) has not been used.
    if not crossed and all(
        (item.information_fraction or 0.0) >= 1.0 and effects[item.arm].smallest_n >= spec.minimum_n
        for item in undecided
    ):
        return "sample_reached", f"{spec.planned_n} units per arm are reached without a claim"
    if spec.futility_power > 0.0 and undecided and not crossed:
        chances = [_chance(spec, item, effects[item.arm]) for item in undecided]
        if max(chances) < spec.futility_power:
            return "futile", f"the chance to show an improvement has fallen to {max(chances):.2g}"
    return None


def _chance(spec: ExperimentSpec, item: Evidence, measured: Contrast) -> float:
    """Conditional power at the minimum effect; 1 while nothing can be said."""
    t = item.information_fraction or 0.0
    if item.statistic is None or not 0.0 < t < 1.0:
        return 1.0
    # The standard error at the end is the present one times sqrt(t).
    drift = spec.primary.minimum_effect / (measured.standard_error * math.sqrt(t))
    return conditional_power(item.statistic, t, alpha=spec.promotion_alpha, drift=drift)
