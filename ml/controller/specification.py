"""From what a person asked for to the rule that decides: an `ABTest` spec as a specification of `ml.experiments`."""

from __future__ import annotations

from collections.abc import Sequence

from ml.contracts.abtest import AbTestSpec, ErrorGuardrail, LatencyGuardrail, OutcomeGuardrail
from ml.contracts.abtest import Guardrail as SpecGuardrail
from ml.contracts.problems import Problem
from ml.experiments.planning import SamplePlan, required_n
from ml.experiments.ramp import weights_at
from ml.experiments.specification import TOTAL_WEIGHT, ExperimentSpec, Guardrail, PrimaryMetric, Ramp
from ml.experiments.validation import LARGEST_COUNT


def primary_metric(spec: AbTestSpec) -> PrimaryMetric:
    """Return the deciding metric."""
    return PrimaryMetric(
        name=spec.primary.name,
        better=spec.primary.better,
        minimum_effect=spec.primary.minimum_effect,
        baseline=spec.primary.baseline,
        standard_deviation=spec.primary.standard_deviation,
    )


def sample_plan(spec: AbTestSpec) -> SamplePlan | Problem:
    """Return how many units each arm needs, or why no number of units is enough."""
    path = ("spec", "primary", "minimumEffect")
    try:
        size = required_n(
            primary_metric(spec),
            treatments=len(spec.treatments),
            alpha=spec.significance_level,
            power=spec.power,
            open_ended=spec.mode == "openEnded",
        )
    except (ValueError, OverflowError) as error:
        return Problem(path, spec.primary.minimum_effect, "an effect that can be told from no effect", str(error))
    if size.required_n > LARGEST_COUNT:
        needed = f"{size.required_n:.3g} units per arm would be needed"
        return Problem(path, spec.primary.minimum_effect, "an effect that can be told from no effect", needed)
    return size


def specification_of(spec: AbTestSpec, size: SamplePlan, slots: Sequence[str]) -> ExperimentSpec:
    """Return the rule by which an experiment is decided.

    Args:
        spec: as asked for, valid in itself.
        size: of the sample.
        slots: of the model, in the gateway's order; arms are put into it, since users are placed by it.

    Raises:
        ValueError: the arms leave nothing for control.
    """
    shares = {arm.slot: arm.weight_percent / 100.0 for arm in spec.arms[1:]}
    treatments = tuple(slot for slot in slots if slot in shares)
    specification = ExperimentSpec(
        control=spec.control,
        treatments=treatments,
        shares=tuple(shares[slot] for slot in treatments),
        primary=primary_metric(spec),
        planned_n=max(size.required_n, spec.min_sample_size),
        guardrails=tuple(_guardrail(guardrail) for guardrail in spec.guardrails),
        secondary=tuple(outcome.name for outcome in spec.secondary),
        mode="open-ended" if spec.mode == "openEnded" else "planned",
        alpha=spec.significance_level,
        minimum_n=spec.min_sample_size,
        duration_seconds=float(spec.duration_seconds),
        ramp=Ramp(seconds=float(spec.ramp.duration_seconds), steps=spec.ramp.steps),
        stale_after_seconds=float(spec.no_data.stale_after_seconds),
        no_data_timeout_seconds=float(spec.no_data.timeout_seconds),
        total_weight=TOTAL_WEIGHT - round(spec.holdout_percent * 10),
    )
    final = weights_at(specification, specification.ramp.seconds)
    if min(final.values()) < 1:
        raise ValueError(
            f"weights of {dict(final)} after rounding: allowed is at least 1 of {TOTAL_WEIGHT} for each arm"
        )
    return specification


def _guardrail(guardrail: SpecGuardrail) -> Guardrail:
    match guardrail:
        case LatencyGuardrail():
            return Guardrail(
                name=guardrail.name,
                harmful="increase",
                against="limit",
                margin=guardrail.exceedance_percent / 100.0,
            )
        case ErrorGuardrail():
            return Guardrail(
                name=guardrail.name, harmful="increase", against="limit", margin=guardrail.limit_percent / 100.0
            )
        case OutcomeGuardrail():
            return Guardrail(
                name=guardrail.name,
                harmful=guardrail.harmful,
                relative_margin=guardrail.margin_percent / 100.0,
                proof=guardrail.proof,
            )
