"""Does a treatment do harm? One-sided tests of each guardrail, and of the primary getting worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ml.experiments.evidence import Evidence, harm_evidence, rate_evidence
from ml.experiments.measured import Measurements
from ml.experiments.specification import ExperimentSpec, Guardrail


def rollback_evidence(spec: ExperimentSpec, data: Measurements, active: Sequence[str]) -> list[Evidence]:
    """Test each guardrail, and the primary against getting worse, for each active treatment."""
    tuned_for = max(float(spec.minimum_n), spec.planned_n / 4.0)
    found: list[Evidence] = []
    for arm in active:
        found.append(
            harm_evidence(
                spec.primary.name,
                arm,
                "primary harm",
                data.effect(spec.primary.name, spec.control, arm),
                harmful_increase=spec.primary.better == "decrease",
                null_value=0.0,
                alpha=spec.rollback_alpha(1.0),
                tuned_for=tuned_for,
                minimum_n=spec.minimum_n,
            )
        )
        for guardrail in spec.guardrails:
            item = _tested(spec, data, guardrail, arm, tuned_for)
            found.append(replace(item, verdict="suspect") if _lacks_an_arm(spec, data, guardrail, item) else item)
    return found


def _lacks_an_arm(spec: ExperimentSpec, data: Measurements, guardrail: Guardrail, item: Evidence) -> bool:
    """Tell whether a guardrail says nothing because one arm is not, or hardly, reported while somebody is.

    Whoever reports one arm only may leave out the harm. What nobody reports at all nobody watches.
    """
    control, treatment = (data.units(guardrail.name, name) for name in (spec.control, item.arm))
    if item.verdict == "no data":
        return control + treatment > 0.0
    # The exact test reads an arm without units as one without events.
    return guardrail.test == "rate" and item.verdict == "open" and (control > 0.0) != (treatment > 0.0)


def _tested(spec: ExperimentSpec, data: Measurements, guardrail: Guardrail, arm: str, tuned_for: float) -> Evidence:
    alpha = spec.rollback_alpha(guardrail.weight)
    increase = guardrail.harmful == "increase"
    if guardrail.test == "rate":
        return rate_evidence(guardrail, arm, *data.events(guardrail.name, spec.control, arm), alpha)
    if guardrail.against == "limit":
        measured = data.own_value(guardrail.name, arm, limit=guardrail.margin, harmful_increase=increase)
        null_value = guardrail.margin
    else:
        # "At most 10 % worse" is a statement about treatment - 1.1 control, or 0.9 control where a decrease does harm;
        # the other way round where control's value is negative, since the margin is a share of its absolute value.
        grows = increase == (data.mean(guardrail.name, spec.control) >= 0.0)
        factor = 1.0 + guardrail.relative_margin * (1.0 if grows else -1.0)
        measured = data.effect(guardrail.name, spec.control, arm, factor)
        null_value = guardrail.margin if increase else -guardrail.margin
    return harm_evidence(
        guardrail.name,
        arm,
        "guardrail",
        measured,
        harmful_increase=increase,
        null_value=null_value,
        alpha=alpha,
        tuned_for=tuned_for,
        minimum_n=spec.minimum_n,
    )
