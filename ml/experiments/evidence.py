"""What the data say of one metric in one arm: stratified by epoch, clustered by unit, valid at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from ml.experiments import validation as check
from ml.experiments.mixtures import confidence_sequence
from ml.experiments.rates import EventCounts, sequential_rate_test
from ml.experiments.results import Interval
from ml.experiments.specification import Guardrail

Role = Literal["primary", "primary harm", "guardrail", "secondary"]
Verdict = Literal[
    "better", "worse", "safe", "open", "higher", "lower", "too early", "suspect", "no variance", "no data"
]

SMALLEST_EVENT_COUNT: Final = 20
"""Of the rarer outcome of a yes-no metric, in the smaller arm or in two of its size, before an asymptotic method may
speak."""
_ROUNDING: Final = 1e-9
"""Share of a value that the rounding of its sums may feign as a difference."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One metric of one treatment at one look.

    Attributes:
        metric: its name.
        arm: the treatment.
        role: what the metric is used for.
        verdict: "better", "worse", "higher" and "lower" are claims; "safe" is non-inferiority shown; the rest
            say why there is none. "suspect" is harm that no test can judge, but that nobody may take for none: the
            estimate lies beyond what is accepted while nothing varies or a guardrail has too little data; or a
            guardrail has too few units for its limit, or cannot be compared although an arm reports it.
        method: name of the test.
        n_control: units of control in the epochs used; 0 against a fixed limit.
        n_treatment: units of the treatment in the epochs used.
        estimate: treatment minus control over epochs; minus control times (1 +- relative margin) for a guardrail
            with one (the margin is a share of control's absolute value); the treatment's own value against a limit;
            the ratio of rates for the exact rate test.
        standard_error: of the estimate.
        statistic: z, larger is stronger evidence for the claim in question.
        boundary: z that the statistic has to reach at this look.
        interval: of the estimate, valid at every look.
        p_value: always-valid where the method has one.
        information_fraction: of the planned test.
        alpha: one-sided error granted to the claim.
    """

    metric: str
    arm: str
    role: Role
    verdict: Verdict
    method: str
    n_control: int = 0
    n_treatment: int = 0
    estimate: float | None = None
    standard_error: float | None = None
    statistic: float | None = None
    boundary: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    information_fraction: float | None = None
    alpha: float | None = None


@dataclass(frozen=True)
class Contrast:
    """Stratified estimate of treatment minus a multiple of control.

    Attributes:
        estimate: weighted mean over epochs.
        standard_error: clustered by unit; 0 when nothing varied, but never for a yes-no metric that may speak.
        information_weight: sum of n_t n_c / (n_t + n_c) over the epochs used.
        n_control: units in the epochs used; 0 when there is no comparison with control.
        n_treatment: units in the epochs used.
        rarer_count: for a yes-no metric the count of the outcome that is rarer in both arms: what the smaller one has
            seen, or two of its size would have, or would at the limit; else infinite.
        rounding: what of the estimate the rounding of sums may feign, when nothing varied.
    """

    estimate: float
    standard_error: float
    information_weight: float
    n_control: int
    n_treatment: int
    rarer_count: float
    rounding: float = 0.0

    @property
    def smallest_n(self) -> int:
        """Units of the smaller arm of the comparison."""
        return min(self.n_control or self.n_treatment, self.n_treatment)

    @property
    def units_per_arm(self) -> float:
        """Size per arm of a balanced experiment with the same information."""
        return 2.0 * self.information_weight


NOTHING: Final = Contrast(0.0, 0.0, 0.0, 0, 0, 0.0)


def contrast(
    control: check.FloatArray,
    treatment: check.FloatArray,
    *,
    control_factor: float = 1.0,
    variance_inflation: float = 1.0,
) -> Contrast:
    """Return treatment - control_factor * control, combined over epochs by Mantel-Haenszel weights.

    The same estimate as `strata.mantel_haenszel`, in one numpy pass; a row per epoch with the fields of
    `ratio.RatioSums` as columns.
    """
    c, t = control, treatment
    usable = (c[:, 0] >= 2) & (t[:, 0] >= 2) & (c[:, 2] > 0) & (t[:, 2] > 0)
    if not usable.all():
        c, t = c[usable], t[usable]
    if c.shape[0] == 0:
        return NOTHING
    (ratio_c, variance_c), (ratio_t, variance_t) = _ratios(c), _ratios(t)
    weights = c[:, 0] * t[:, 0] / (c[:, 0] + t[:, 0])
    total = float(weights.sum())
    variance = variance_t + control_factor**2 * variance_c
    rarer = _rarer_where_it_counts(c.sum(axis=0), t.sum(axis=0))
    rounding = 0.0
    if not variance.any():
        rounding = _ROUNDING * float(np.abs(ratio_t).max() + abs(control_factor) * np.abs(ratio_c).max())
        if SMALLEST_EVENT_COUNT <= rarer < math.inf and _is_yes_or_no(c) and _is_yes_or_no(t):
            variance = _half_event(t) + control_factor**2 * _half_event(c)
    return Contrast(
        estimate=float(weights @ (ratio_t - control_factor * ratio_c)) / total,
        standard_error=math.sqrt(variance_inflation * float(weights**2 @ variance)) / total,
        information_weight=total,
        n_control=int(c[:, 0].sum()),
        n_treatment=int(t[:, 0].sum()),
        rarer_count=rarer,
        rounding=rounding,
    )


def _rarer_where_it_counts(control: check.FloatArray, treatment: check.FloatArray) -> float:
    """Return how many of the rarer outcome the smaller arm has seen, or would have if both had it equally often.

    A small arm that has seen hardly any of it has no variance of its own to speak of, and lends the estimate far too
    small an error, however many the large one has seen. What it has seen itself counts in full: that is how harm shows.
    """
    both = control + treatment
    if not _is_yes_or_no(both):
        return math.inf
    small = control if control[0] < treatment[0] else treatment
    yes_is_rarer = both[1] <= both[0] - both[1]
    own, all_of_it = (small[1], both[1]) if yes_is_rarer else (small[0] - small[1], both[0] - both[1])
    return float(max(own, all_of_it * 2.0 * small[0] / both[0]))


def single(
    treatment: check.FloatArray, *, limit: float, harmful_increase: bool, variance_inflation: float = 1.0
) -> Contrast:
    """Return the treatment's own value over all epochs, for a comparison with a fixed limit.

    Of a yes-no metric the harmful outcome has to be counted often enough. Of the other one as many count as seen or, if
    that is more, as the limit leaves: where they are missing although there should be enough of them, that is the harm.
    They are then too few for a variance of their own, and the limit's stands in, so that none is underrated.
    """
    total = treatment.sum(axis=0)
    if total[0] < 2 or total[2] <= 0:
        return NOTHING
    (ratio,), (variance,) = _ratios(total.reshape(1, 6))
    n, rarer = float(total[0]), math.inf
    rounding = 0.0 if variance else _ROUNDING * abs(float(ratio))
    if _is_yes_or_no(total):
        harmful, share = (total[1], limit) if harmful_increase else (n - total[1], 1.0 - limit)
        rarer = float(min(harmful, max(n - harmful, n * (1.0 - share))))
        if n - harmful < SMALLEST_EVENT_COUNT <= rarer:
            variance = max(variance, share * (1.0 - share) / n, float(_half_event(total.reshape(1, 6))[0]))
    error = math.sqrt(variance_inflation * float(variance))
    return Contrast(float(ratio), error, n / 2.0, 0, int(n), rarer, rounding)


def _ratios(sums: check.FloatArray) -> tuple[check.FloatArray, check.FloatArray]:
    n, y, m = sums[:, 0], sums[:, 1], sums[:, 2]
    r = y / m
    residual = np.maximum(0.0, sums[:, 3] - 2.0 * r * sums[:, 5] + r * r * sums[:, 4])
    return r, residual * n / ((n - 1.0) * m * m)


def _is_yes_or_no(sums: check.FloatArray) -> bool:
    """Tell whether each unit counts once, as 0 or 1; of one row of sums, or of all."""
    return bool((sums[..., 2] == sums[..., 0]).all() and (sums[..., 1] == sums[..., 3]).all())


def _half_event(sums: check.FloatArray) -> check.FloatArray:
    """Return the variance of a yes-no metric's mean per epoch as if half a unit more had varied, either way.

    A share of 0 or 1 has no variance of its own, but the true share need not be 0 or 1. Adding half a unit of each kind
    to the arm's totals (the mean under Jeffreys' prior) gives one that shrinks as the sample grows.
    """
    n = sums[:, 0]
    share = (float(sums[:, 1].sum()) + 0.5) / (float(n.sum()) + 1.0)
    return share * (1.0 - share) / n


def too_little(effect: Contrast, minimum_n: int) -> Verdict | None:
    """Say why an asymptotic method must not speak yet; None when it may."""
    if effect.information_weight == 0.0:
        return "no data"
    if effect.smallest_n < minimum_n or effect.rarer_count < SMALLEST_EVENT_COUNT:
        return "too early"
    return "no variance" if effect.standard_error == 0.0 else None


def harm_evidence(
    name: str,
    arm: str,
    role: Role,
    effect: Contrast,
    *,
    harmful_increase: bool,
    null_value: float,
    alpha: float,
    tuned_for: float,
    minimum_n: int,
) -> Evidence:
    """Test by a one-sided confidence sequence whether the effect is on the harmful side of the null value.

    The same sequence on the other side shows non-inferiority ("safe").

    Args:
        name: of the metric.
        arm: the treatment.
        role: for the record.
        effect: what was measured.
        harmful_increase: whether larger is worse.
        null_value: the largest (or smallest) effect that is still accepted, in the effect's own unit and sign.
        alpha: one-sided error of this claim.
        tuned_for: units per arm at which the sequence is sharpest.
        minimum_n: units per arm before which nothing is claimed.
    """
    method = "one-sided normal-mixture confidence sequence"
    sign = 1.0 if harmful_increase else -1.0
    harm, accepted = sign * effect.estimate, sign * null_value
    early = too_little(effect, minimum_n)
    if early is not None:
        found = Evidence(metric=name, arm=arm, role=role, verdict=early, method=method, alpha=alpha)
        hidden = _may_hide_harm(early, role, effect, harm - accepted, minimum_n)
        return _suspect(found, effect) if hidden else found
    sequence = confidence_sequence(
        harm,
        effect.standard_error,
        effect.units_per_arm,
        tuned_for=tuned_for,
        alpha=alpha,
        null_value=accepted,
        alternative="greater",
    )
    reach = harm - sequence.interval.low
    verdict: Verdict = "worse" if harm - reach > accepted else "safe" if harm + reach <= accepted else "open"
    return Evidence(
        metric=name,
        arm=arm,
        role=role,
        verdict=verdict,
        method=method,
        n_control=effect.n_control,
        n_treatment=effect.n_treatment,
        estimate=effect.estimate,
        standard_error=effect.standard_error,
        statistic=(harm - accepted) / effect.standard_error,
        boundary=reach / effect.standard_error,
        interval=Interval(effect.estimate - reach, effect.estimate + reach),
        p_value=sequence.p_value,
        alpha=alpha,
    )


def _may_hide_harm(silence: Verdict, role: Role, effect: Contrast, excess: float, minimum_n: int) -> bool:
    """Tell whether the silence of a test must not be taken for the absence of harm.

    A guardrail can have its sample later than the primary, and would then let a promotion pass. Against a limit each
    request counts, so that the minimum is waited for; what is compared with control may be reported rarely by its
    nature, and only has to look harmless. The primary itself needs no such care: its claim asks for the minimum.
    """
    looks_harmful = excess > effect.rounding
    if silence == "too early" and role == "guardrail":
        is_against_limit = effect.n_control == 0
        return looks_harmful or (is_against_limit and effect.smallest_n < minimum_n)
    return silence == "no variance" and looks_harmful


def _suspect(silent: Evidence, effect: Contrast) -> Evidence:
    """Say what looks harmful: no test can tell how sure that is, but nobody may take it for the absence of harm."""
    n_control, n_treatment = effect.n_control, effect.n_treatment
    return replace(silent, verdict="suspect", n_control=n_control, n_treatment=n_treatment, estimate=effect.estimate)


def rate_evidence(
    guardrail: Guardrail,
    arm: str,
    control: check.FloatArray,
    treatment: check.FloatArray,
    treatment_weights: check.FloatArray,
    alpha: float,
) -> Evidence:
    """Test a rare-event guardrail exactly, from the events of both arms and treatment's weight per epoch."""
    method = "exact sequential test of two event rates"
    if treatment_weights.size == 0:
        return Evidence(metric=guardrail.name, arm=arm, role="guardrail", verdict="no data", method=method)
    epochs = [
        EventCounts(float(w), float(c), float(t))
        for c, t, w in zip(control[:, 1], treatment[:, 1], treatment_weights, strict=True)
    ]
    allowed = 1.0 + guardrail.relative_margin
    test = sequential_rate_test(epochs, margin_ratio=allowed, alpha=alpha)
    return Evidence(
        metric=guardrail.name,
        arm=arm,
        role="guardrail",
        verdict="worse" if test.lower_bound > allowed else "open",
        method=method,
        n_control=int(control[:, 0].sum()),
        n_treatment=int(treatment[:, 0].sum()),
        estimate=test.rate_ratio if math.isfinite(test.rate_ratio) else None,
        statistic=test.log_evidence,
        boundary=-math.log(alpha),
        interval=Interval(test.lower_bound, math.inf),
        p_value=test.p_value,
        alpha=alpha,
    )
