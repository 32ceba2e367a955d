"""Events of made-up experiments."""

from __future__ import annotations

from typing import Any

from ml.events.types import DecisionMade, ExperimentCreated, PhaseEntered
from ml.experiments.document import to_document
from ml.experiments.specification import ExperimentSpec, Guardrail, PrimaryMetric, Ramp

SPECIFICATION = ExperimentSpec(
    control="stable",
    treatments=("candidate-a",),
    shares=(0.5,),
    primary=PrimaryMetric(name="conversion", better="increase", minimum_effect=0.01, baseline=0.05),
    planned_n=8_000,
    guardrails=(Guardrail(name="errors", harmful="increase", against="limit", margin=0.05),),
    ramp=Ramp(seconds=0.0),
)


def spec(**changes: Any) -> dict[str, Any]:
    """An `ABTest` spec with one metric of each aggregation."""
    fields: dict[str, Any] = {
        "model": "content_quality_model",
        "primary": {"name": "conversion", "aggregation": "any", "minimumEffect": 0.01, "baseline": 0.05},
        "secondary": [{"name": "rating", "aggregation": "mean"}, {"name": "spend", "aggregation": "sum"}],
        "guardrails": [],
        "attributionWindowSeconds": 3600,
    }
    return {**fields, **changes}


def created(experiment: str = "uid-1", at: float = 1000.0, **changes: Any) -> ExperimentCreated:
    fields: dict[str, Any] = {
        "at": at,
        "experiment": experiment,
        "name": f"test-{experiment}",
        "namespace": "platform",
        "model": "content_quality_model",
        "spec": spec(),
        "specification": to_document(SPECIFICATION),
        "plan": {"requiredPerArm": 8000},
        "salt_index": 3,
        "by": "ann",
    }
    return ExperimentCreated(**{**fields, **changes})


def entered(phase: Any, at: float = 1001.0, reason: str = "because") -> PhaseEntered:
    return PhaseEntered(at=at, phase=phase, reason=reason)


def decided(at: float, action: str = "continue") -> DecisionMade:
    decision: dict[str, Any] = {
        "action": action,
        "reasons": [{"code": "running", "message": "no boundary is crossed yet"}],
        "weights": {"stable": 500, "candidate-a": 500},
        "sample_ratio": {"p_value": 0.5},
    }
    return DecisionMade(
        at=at, inputs={}, decision=decision, input_hash="i", previous_hash="p", hash=f"hash-{at}", cursors={}
    )
