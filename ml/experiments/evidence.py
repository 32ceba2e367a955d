"""What the data say of one metric in one arm: stratified by epoch, clustered by unit, valid at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ml.experiments import validation as check
from ml.experiments.mixtures import confidence_sequence
from ml.experiments.rates import EventCounts, sequential_rate_test
from ml.experiments.results import Interval
from ml.experiments.specification import Guardrail

Role = Literal["primary", "primary harm", "guardrail", "secondary"]
Verdict = Literal["better", "worse", "safe", "open", "higher", "lower", "too early", "no variance", "no data"]

SMALLEST_EVENT_COUNT: Final = 20
"""Of the rarer outcome of a yes-no metric, both arms together, before an asymptotic method may speak."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One metric of one treatment at one look.

    Attributes:
        metric: its name.
        arm: the treatment.
        role: what the metric is used for.
        verdict: "better", "worse", "higher" and "lower" are claims; "safe" is non-inferiority shown; the rest
            say why there is none.
        method: name of the test.
        n_control: units of control in the epochs used; 0 against a fixed limit.
        n_treatment: units of the treatment in the epochs used.
        estimate: treatment minus control over epochs; minus control times (1 +- relative margin) for a guardrail
            with one; the treatment's own value against a limit; the ratio of rates for the exact rate test.
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
        standard_error: clustered by unit; 0 when nothing varied.
        information_weight: sum of n_t n_c / (n_t + n_c) over the epochs used.
        n_control: units in the epochs used; 0 when there is no comparison with control.
        n_treatment: units in the epochs used.
        rarer_count: for a yes-no metric the count of the rarer outcome in both arms, else infinite.
    """

    estimate: float
    standard_error: float
    information_weight: float
    n_control: int
    n_treatment: int
    rarer_count: float

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
    return Contrast(
        estimate=float(weights @ (ratio_t - control_factor * ratio_c)) / total,
        standard_error=math.sqrt(variance_inflation * float(weights**2 @ variance)) / total,
        information_weight=total,
        n_control=int(c[:, 0].sum()),
        n_treatment=int(t[:, 0].sum()),
        rarer_count=_rarer(c.sum(axis=0) + t.sum(axis=0)),
    )


def single(treatment: check.FloatArray, *, variance_inflation: float = 1.0) -> Contrast:
    """Return the treatment's own value over all epochs, for a comparison with a fixed limit."""
    total = treatment.sum(axis=0)
    if total[0] < 2 or total[2] <= 0:
        return NOTHING
    ratio, variance = _ratios(total.reshape(1, 6))
    n = int(total[0])
    error = math.sqrt(variance_inflation * float(variance[0]))
    return Contrast(float(ratio[0]), error, n / 2.0, 0, n, _rarer(total))


def _ratios(sums: check.FloatArray) -> tuple[check.FloatArray, check.FloatArray]:
    n, y, m = sums[:, 0], sums[:, 1], sums[:, 2]
    r = y / m
    residual = np.maximum(0.0, sums[:, 3] - 2.0 * r * sums[:, 5] + r * r * sums[:, 4])
    return r, residual * n / ((n - 1.0) * m * m)


def _rarer(total: check.FloatArray) -> float:
    n, y, m, yy = (float(value) for value in total[:4])
    yes_or_no = m == n and y == yy
    return min(y, n - y) if yes_or_no else math.inf


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
    early = too_little(effect, minimum_n)
    if early is not None:
        return Evidence(metric=name, arm=arm, role=role, verdict=early, method=method, alpha=alpha)
    sign = 1.0 if harmful_increase else -1.0
    harm, accepted = sign * effect.estimate, sign * null_value
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
