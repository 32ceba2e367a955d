"""What is let in, what waits, and what is refused with which numbers."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.controller.admission import ActiveExperiment, AdmissionFacts, Admitted, Queued, Refused, admit, plan_message
from ml.controller.daily_units import DailyUnits, from_plan
from ml.controller.ports import SlotState
from ml.experiments.decision import decide
from ml.experiments.document import specification_from_document, to_document
from ml.experiments.history import History
from ml.experiments.planning import required_n
from ml.experiments.ramp import gateway_weights, weights_at
from tests.ml.contracts.generated import specs
from tests.ml.contracts.specs import ABSENT, BAD, SLOTS, Bad, JsonObject, changed, good

FACTS = AdmissionFacts(slots=SLOTS)


def admitted(document: object, facts: AdmissionFacts = FACTS) -> Admitted:
    result = admit(document, facts)
    assert isinstance(result, Admitted), result
    return result


def refused(document: object, facts: AdmissionFacts = FACTS) -> dict[str, str]:
    result = admit(document, facts)
    assert isinstance(result, Refused), result
    return {problem.field: str(problem) for problem in result.problems}


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_field_value_and_allowed_are_named_when_a_spec_is_refused(bad: Bad) -> None:
    found = refused(bad.document())
    assert bad.field in found
    assert bad.says in found[bad.field]


def test_specification_says_what_the_spec_says_when_admitted() -> None:
    rails = [
        {"kind": "latency", "limitMillis": 250, "exceedancePercent": 1},
        {"kind": "errors", "name": "failures", "limitPercent": 2},
        {"kind": "outcome", "name": "correct", "marginPercent": 5, "proof": True},
    ]
    it = admitted(changed({"guardrails": rails, "significanceLevel": 0.01, "minSampleSize": 500})).specification
    assert (it.control, it.treatments, it.shares) == ("stable", ("candidate-a",), (0.5,))
    assert (it.alpha, it.minimum_n, it.mode, it.secondary) == (0.01, 500, "planned", ("rating",))
    assert (it.ramp.seconds, it.ramp.steps, it.duration_seconds) == (3600.0, 60, 1_209_600.0)
    assert (it.stale_after_seconds, it.no_data_timeout_seconds, it.total_weight) == (120.0, 3600.0, 1000)
    latency, failures, correct = it.guardrails
    assert (latency.name, latency.against, latency.margin, latency.harmful) == ("latency", "limit", 0.01, "increase")
    assert (failures.name, failures.against, failures.margin) == ("failures", "limit", 0.02)
    assert (correct.against, correct.relative_margin, correct.harmful, correct.proof) == (
        "control",
        0.05,
        "decrease",
        True,
    )


def test_plan_holds_the_planners_numbers_when_admitted() -> None:
    it = admitted(good())
    size = required_n(it.specification.primary)
    assert it.plan.required_per_arm == it.plan.planned_per_arm == it.specification.planned_n == size.required_n == 4053
    assert (it.plan.units_per_day, it.plan.units_per_day_source) == (20_000.0, "spec")
    assert it.plan.needed_seconds is not None
    # Half of 20,000 a day, and the treatment's half hour that the ramp costs, almost.
    assert it.plan.needed_seconds == pytest.approx(4053 / 10_000 * 86_400 + 1200, rel=0.01)
    assert json.loads(json.dumps(to_document(it.plan)))["required_per_arm"] == 4053


def test_sample_is_the_smallest_allowed_when_the_effect_needs_less() -> None:
    it = admitted(changed({"primary.minimumEffect": 0.2}))
    assert it.plan.required_per_arm < 1000
    assert it.specification.planned_n == 1000


def test_short_experiment_is_admitted_when_its_traffic_is_dense() -> None:
    changes = {
        "durationSeconds": 600,
        "ramp": {"durationSeconds": 60, "steps": 60},
        "expectedUnitsPerDay": 20_000_000,
        "primary.minimumEffect": 0.05,
        "minSampleSize": 200,
    }
    assert admitted(changed(changes)).plan.needed_seconds is not None


def measured(per_day: float, source: Literal["outcomes", "gateway"] = "outcomes") -> DailyUnits:
    return DailyUnits(per_day=per_day, source=source, seconds=5 * 86_400.0)


@pytest.mark.parametrize(
    ("known", "written", "source"),
    [
        (measured(50_000.0), ABSENT, "outcomes"),
        (measured(50_000.0, "gateway"), ABSENT, "gateway"),
        (measured(1.0), 20_000, "spec"),
        (None, 20_000, "spec"),
    ],
)
def test_written_traffic_counts_more_than_measured_when_both_are_known(
    known: DailyUnits | None, written: object, source: str
) -> None:
    facts = AdmissionFacts(slots=SLOTS, measured=known)
    plan = admitted(changed({"expectedUnitsPerDay": written}), facts).plan
    assert (plan.units_per_day, plan.units_per_day_source) == (20_000.0 if source == "spec" else 50_000.0, source)
    assert plan.measured_seconds == (None if source == "spec" else 5 * 86_400.0)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("outcomes", "200 units per day (measured in the reported outcomes over 5.0 days)"),
        ("gateway", "200 units per day (measured at the gateway over 5.0 days)"),
    ],
)
def test_number_and_source_are_named_when_measured_traffic_is_not_enough(
    source: Literal["outcomes", "gateway"], says: str
) -> None:
    facts = AdmissionFacts(slots=SLOTS, measured=measured(200.0, source))
    found = refused(changed({"expectedUnitsPerDay": ABSENT, "minSampleSize": 1_000_000}), facts)
    assert set(found) == {"spec.primary.minimumEffect", "spec.minSampleSize"}
    assert all(says in message for message in found.values())
    written = refused(changed({"expectedUnitsPerDay": 200, "minSampleSize": 1_000_000}))
    assert {field: text.replace(says, "200 units per day") for field, text in found.items()} == written


def test_field_is_named_when_nothing_is_known_to_measure_by() -> None:
    found = refused(changed({"expectedUnitsPerDay": ABSENT}))
    assert list(found) == ["spec.expectedUnitsPerDay"]
    assert (
        "is missing: allowed is a whole number > 0 (no outcomes or requests are known"
        in found["spec.expectedUnitsPerDay"]
    )


@settings(deadline=None, max_examples=40)
@given(specs(), st.floats(1.0, 1e9), st.floats(86_400.0, 604_800.0), st.sampled_from(["outcomes", "gateway"]))
def test_same_admission_is_derived_again_when_only_the_stored_measurement_is_used(
    document: JsonObject, per_day: float, seconds: float, source: Literal["outcomes", "gateway"]
) -> None:
    del document["expectedUnitsPerDay"]
    known = DailyUnits(per_day=per_day, source=source, seconds=seconds)
    first = admit(document, AdmissionFacts(slots=SLOTS, measured=known))
    stored = json.loads(json.dumps(to_document(known if isinstance(first, Refused) else first.plan)))
    again = DailyUnits(**stored) if isinstance(first, Refused) else from_plan(stored)
    assert admit(document, AdmissionFacts(slots=SLOTS, measured=again)) == first


@pytest.mark.parametrize(
    ("changes", "facts", "says"),
    [
        ({}, FACTS, "4,053 units per arm are needed; 20,000 units per day give them in 36,208 s of 14.0 days"),
        (
            {"expectedUnitsPerDay": ABSENT},
            AdmissionFacts(slots=SLOTS, measured=measured(3_000.0)),
            (
                "4,053 units per arm are needed; 3,000 units per day (measured in the reported outcomes over 5.0 days) "
                "give them in 2.7 days of 14.0 days"
            ),
        ),
        (
            {"mode": "openEnded", "expectedUnitsPerDay": ABSENT},
            FACTS,
            "6,422 units per arm are needed; the model's traffic is not known",
        ),
    ],
)
def test_promise_names_the_traffic_and_its_source_when_told(
    changes: JsonObject, facts: AdmissionFacts, says: str
) -> None:
    assert plan_message(json.loads(json.dumps(to_document(admitted(changed(changes), facts).plan)))) == says


def test_open_ended_experiment_is_admitted_when_nothing_is_known_of_the_traffic() -> None:
    plan = admitted(changed({"mode": "openEnded", "expectedUnitsPerDay": ABSENT})).plan
    assert (plan.units_per_day, plan.needed_seconds, plan.units_per_day_source) == (None, None, "unknown")


def test_arms_are_put_into_the_gateways_order_when_written_otherwise() -> None:
    arms = [
        {"slot": "stable", "weightPercent": 50},
        {"slot": "candidate-b", "weightPercent": 30},
        {"slot": "candidate-a", "weightPercent": 20},
    ]
    it = admitted(changed({"arms": arms})).specification
    assert (it.treatments, it.shares) == (("candidate-a", "candidate-b"), (0.2, 0.3))


def test_arms_are_refused_when_rounding_leaves_nothing_for_control() -> None:
    slots = ("stable", *(f"candidate-{letter}" for letter in "abcdefg"))
    arms = [{"slot": slot, "weightPercent": 14.26 if index else 0.18} for index, slot in enumerate(slots)]
    facts = AdmissionFacts(slots={"content_quality_model": slots})
    found = refused(changed({"arms": arms, "ramp": {"durationSeconds": 0, "steps": 1}}), facts)
    assert "'stable': -1" in found["spec.arms"]


def test_model_is_refused_when_none_is_served() -> None:
    assert "since no model is served" in refused(good(), AdmissionFacts(slots={}))["spec.model"]


def test_experiment_waits_when_another_has_one_of_its_arms() -> None:
    others = (
        ActiveExperiment(name="first", arms=("stable", "candidate-b")),
        ActiveExperiment(name="elsewhere", arms=("candidate-b",)),
    )
    result = admit(good(), AdmissionFacts(slots=SLOTS, active=others))
    assert isinstance(result, Queued)
    assert result.behind == ("first",)
    assert result.message == "waits for first, which came first"
    assert result.specification == admitted(good()).specification


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (SlotState(slot="candidate-a", ready_pods=0, serving_version=None), "serves no version yet"),
        (
            SlotState(slot="candidate-a", ready_pods=1, serving_version=None, problem="no alias candidate-a"),
            "serves no version yet (no alias candidate-a)",
        ),
        (SlotState(slot="candidate-a", ready_pods=0, serving_version=3), "has no ready pod"),
    ],
)
def test_experiment_waits_when_its_candidate_serves_nothing(state: SlotState, message: str) -> None:
    result = admit(good(), AdmissionFacts(slots=SLOTS, slot_states={"candidate-a": state}))
    assert isinstance(result, Queued)
    assert result.behind == ()
    assert result.message == f"slot candidate-a {message}"


def test_experiment_is_admitted_when_its_slots_serve_and_others_do_not() -> None:
    states = {
        "stable": SlotState(slot="stable", ready_pods=2, serving_version=1),
        "candidate-a": SlotState(slot="candidate-a", ready_pods=1, serving_version=2),
        "candidate-b": SlotState(slot="candidate-b", ready_pods=0, serving_version=None),
    }
    admitted(good(), AdmissionFacts(slots=SLOTS, slot_states=states))


@settings(deadline=None, max_examples=40)
@given(specs(), st.none() | st.floats(1.0, 1e9).map(measured))
def test_decision_can_be_taken_when_a_spec_is_admitted(document: JsonObject, known: DailyUnits | None) -> None:
    result = admit(document, AdmissionFacts(slots=SLOTS, measured=known))
    if isinstance(result, Refused):
        assert result.problems
        return
    specification = result.specification
    assert specification_from_document(json.loads(json.dumps(to_document(specification)))) == specification
    first = decide(specification, History(started_at=1000.0), 1000.0)
    assert first.action == "ramp"
    for elapsed in (0.0, specification.ramp.seconds / 2, specification.ramp.seconds):
        weights = weights_at(specification, elapsed)
        assert sum(gateway_weights(specification, weights).values()) == 1000
        assert min(weights.values()) >= 1


def _remedies(found: dict[str, str]) -> list[JsonObject]:
    """What the messages say would do."""
    seconds = [int(text) for message in found.values() for text in re.findall(r"durationSeconds of (\d+)", message)]
    effect = re.search(r"allowed is at least ([\d.e+-]+) in this time", found.get("spec.primary.minimumEffect", ""))
    sample = re.search(r"allowed is at most (\d+) in this time", found.get("spec.minSampleSize", ""))
    remedies: list[JsonObject] = []
    if len(seconds) == len(found):
        remedies.append({"durationSeconds": max(seconds)})
    fields: dict[str, Any] = {}
    if effect:
        fields["primary.minimumEffect"] = float(effect[1])
    if sample:
        fields["minSampleSize"] = int(sample[1])
    if len(fields) == len(found) and fields.get("minSampleSize", 2) >= 2:
        remedies.append(fields)
    return remedies


@settings(deadline=None, max_examples=40)
@given(specs())
def test_advice_leads_to_admission_when_it_is_followed(document: JsonObject) -> None:
    result = admit(document, FACTS)
    if not isinstance(result, Refused):
        return
    found = {problem.field: str(problem) for problem in result.problems}
    for remedy in _remedies(found):
        better = json.loads(json.dumps(document))
        for path, value in remedy.items():
            *parents, last = path.split(".")
            target = better
            for parent in parents:
                target = target[parent]
            target[last] = value
        admitted(better)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_at_all_is_refused_and_never_an_error_when_it_is_no_spec(document: object) -> None:
    assert isinstance(admit(document, FACTS), Refused)
