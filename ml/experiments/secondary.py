"""Secondary metrics: always reported, claimed only once the primary is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ml.experiments.evidence import Evidence, too_little
from ml.experiments.measured import Measurements
from ml.experiments.mixtures import confidence_sequence
from ml.experiments.multiplicity import holm
from ml.experiments.specification import ExperimentSpec


def secondary_evidence(
    spec: ExperimentSpec, data: Measurements, active: Sequence[str], *, decided: bool
) -> list[Evidence]:
    """Report secondary metrics by two-sided confidence sequences.

    Args:
        spec: the rule.
        data: what has happened.
        active: treatments still in the experiment.
        decided: whether the primary is shown to be better; only then, with the error it passes on (graphical
            gatekeeping), are metrics called higher or lower, by Holm over metrics and treatments.
    """
    found = [_measure(spec, data, name, arm) for arm in active for name in spec.secondary]
    tested = [item for item in found if item.p_value is not None]
    if not decided or not tested:
        return found
    p_values = [item.p_value for item in tested if item.p_value is not None]
    alpha = spec.alpha * spec.budget.promotion
    rejected = dict(zip(map(id, tested), holm(p_values, alpha=alpha).rejected, strict=True))
    return [_claimed(item) if rejected.get(id(item)) else item for item in found]


def _claimed(item: Evidence) -> Evidence:
    return replace(item, verdict="higher" if (item.estimate or 0.0) > 0.0 else "lower")


def _measure(spec: ExperimentSpec, data: Measurements, name: str, arm: str) -> Evidence:
    measured = data.effect(name, spec.control, arm)
    method = "confidence sequence; claims by Holm after the primary"
    early = too_little(measured, spec.minimum_n)
    if early is not None:
        return Evidence(metric=name, arm=arm, role="secondary", verdict=early, method=method)
    result = confidence_sequence(
        measured.estimate,
        measured.standard_error,
        measured.units_per_arm,
        tuned_for=float(spec.planned_n),
        alpha=spec.alpha,
    )
    return Evidence(
        metric=name,
        arm=arm,
        role="secondary",
        verdict="open",
        method=method,
        n_control=measured.n_control,
        n_treatment=measured.n_treatment,
        estimate=measured.estimate,
        standard_error=measured.standard_error,
        statistic=measured.estimate / measured.standard_error,
        interval=result.interval,
        p_value=result.p_value,
        alpha=spec.alpha,
    )
