"""Specs that are valid in themselves, over all that may be asked for."""

from __future__ import annotations

from hypothesis import strategies as st

from ml.contracts.abtest import LATENCY_EDGES_MILLIS
from tests.ml.contracts.specs import MODEL, JsonObject

_AGGREGATIONS = st.sampled_from(["mean", "any", "sum"])


@st.composite
def _arms(draw: st.DrawFn) -> list[JsonObject]:
    slots = draw(st.permutations(["candidate-a", "candidate-b"]))[: draw(st.integers(1, 2))]
    thousandths = [draw(st.integers(1, 999 // len(slots))) for _ in slots]
    control = {"slot": "stable", "weightPercent": (1000 - sum(thousandths)) / 10}
    return [control, *({"slot": slot, "weightPercent": w / 10} for slot, w in zip(slots, thousandths, strict=True))]


@st.composite
def _primary(draw: st.DrawFn) -> JsonObject:
    better = draw(st.sampled_from(["increase", "decrease"]))
    shared: JsonObject = {"name": "converted", "better": better, "aggregation": draw(_AGGREGATIONS)}
    if draw(st.booleans()):
        deviation = draw(st.floats(1e-3, 1e3))
        effect = deviation * draw(st.floats(1e-3, 2.0))
        baseline = draw(st.floats(-1e6, 1e6))
        return {**shared, "baseline": baseline, "standardDeviation": deviation, "minimumEffect": effect}
    baseline = draw(st.floats(0.001, 0.999))
    room = 1 - baseline if better == "increase" else baseline
    return {**shared, "baseline": baseline, "minimumEffect": room * draw(st.floats(0.001, 0.999))}


@st.composite
def _guardrails(draw: st.DrawFn) -> list[JsonObject]:
    percent = st.floats(0.1, 99.0)
    every: list[JsonObject] = [
        {
            "kind": "latency",
            "limitMillis": draw(st.sampled_from(LATENCY_EDGES_MILLIS)),
            "exceedancePercent": draw(percent),
        },
        {"kind": "errors", "name": "failures", "limitPercent": draw(percent)},
        {
            "kind": "outcome",
            "name": "correct",
            "aggregation": draw(_AGGREGATIONS),
            "harmful": draw(st.sampled_from(["increase", "decrease"])),
            "marginPercent": draw(st.floats(0.0, 1000.0)),
            "proof": draw(st.booleans()),
        },
    ]
    return draw(st.permutations(every))[: draw(st.integers(0, 3))]


@st.composite
def specs(draw: st.DrawFn) -> JsonObject:
    """A spec that says everything; whether its sample can be reached is another matter."""
    ramp_seconds = draw(st.one_of(st.just(0), st.integers(1, 86_400)))
    stale = draw(st.integers(10, 3600))
    return {
        "model": MODEL,
        "arms": draw(_arms()),
        "unit": draw(st.sampled_from(["userHeader", "userCookie", "request"])),
        "ramp": {"durationSeconds": ramp_seconds, "steps": draw(st.integers(99, 1000))},
        "primary": draw(_primary()),
        "secondary": draw(st.sampled_from([[], [{"name": "rating", "aggregation": "sum"}]])),
        "guardrails": draw(_guardrails()),
        "mode": draw(st.sampled_from(["planned", "openEnded"])),
        "durationSeconds": draw(st.integers(max(60, ramp_seconds + 1), 31_536_000)),
        "expectedUnitsPerDay": draw(st.integers(1, 10**9)),
        "significanceLevel": draw(st.floats(0.0001, 0.49)),
        "power": draw(st.floats(0.5, 0.999)),
        "minSampleSize": draw(st.integers(2, 100_000)),
        "holdoutPercent": draw(st.integers(0, 500)) / 10,
        "noData": {"staleAfterSeconds": stale, "timeoutSeconds": stale + draw(st.integers(0, 10_000))},
        "paused": draw(st.booleans()),
    }
