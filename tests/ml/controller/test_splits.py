"""The split as a function of its root and of what is there; what the mesh makes of it is shown end to end."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts import MODEL_LABEL, SLOT_HEADER, SLOTS_ANNOTATION, TRAFFIC_ROLE_LABEL, split_route
from ml.controller.ports import Mirror, RouteState
from ml.controller.splits import (
    InvalidRootError,
    SplitPlan,
    declared_slots,
    model_of,
    parse_root,
    plan_split,
    route_of,
)
from ml.kubernetes import JsonObject
from tests.support.schemas import check_custom

MODEL = "content-quality-model"
SLOTS = ("stable", "candidate-a")


def root_body(slots: tuple[str, ...] = SLOTS, uid: str = "uid-1") -> JsonObject:
    return {
        "metadata": {
            "name": f"{MODEL}-root",
            "namespace": "research",
            "uid": uid,
            "labels": {TRAFFIC_ROLE_LABEL: "root", MODEL_LABEL: MODEL},
            "annotations": {SLOTS_ANNOTATION: ",".join(slots)},
        },
        "spec": {"http": [{"match": [{"uri": {"exact": "/v1/models/content_quality_model"}}]}]},
    }


def plan(
    existing: JsonObject | None,
    slots: tuple[str, ...] = SLOTS,
    uid: str = "uid-1",
    timeout_seconds: int = 30,
    wanted: RouteState | None = None,
) -> SplitPlan:
    root = parse_root(root_body(slots, uid))
    return plan_split(root, existing, timeout_seconds=timeout_seconds, wanted=wanted)


def stored(split: SplitPlan, version: str = "7") -> JsonObject:
    """Return the object that the API server would hold after the plan's manifest was applied."""
    assert split.manifest is not None
    body = copy.deepcopy(split.manifest)
    body["metadata"]["resourceVersion"] = version
    return body


def weights(manifest: JsonObject | None) -> dict[str, int]:
    assert manifest is not None
    return {entry["destination"]["subset"]: entry["weight"] for entry in manifest["spec"]["http"][0]["route"]}


def with_weights(body: JsonObject, wanted: dict[str, int]) -> JsonObject:
    changed = copy.deepcopy(body)
    for entry in changed["spec"]["http"][0]["route"]:
        entry["weight"] = wanted[entry["destination"]["subset"]]
    return changed


def test_split_holds_all_slots_and_sends_all_to_stable_when_there_is_none_yet() -> None:
    made = plan(None)
    assert made.exists is False
    assert made.problems == ()
    assert made.manifest == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": f"{MODEL}-split",
            "namespace": "research",
            "labels": {
                "app.kubernetes.io/managed-by": "experiment-controller",
                MODEL_LABEL: MODEL,
                TRAFFIC_ROLE_LABEL: "split",
            },
            "ownerReferences": [
                {
                    "apiVersion": "networking.istio.io/v1",
                    "kind": "VirtualService",
                    "name": f"{MODEL}-root",
                    "uid": "uid-1",
                    "controller": False,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "http": [
                {
                    "name": "split-00",
                    "route": [
                        {
                            "destination": {"host": MODEL, "port": {"number": 8501}, "subset": "stable"},
                            "headers": {"response": {"set": {SLOT_HEADER: "stable"}}},
                            "weight": 1000,
                        },
                        {
                            "destination": {"host": MODEL, "port": {"number": 8501}, "subset": "candidate-a"},
                            "headers": {"response": {"set": {SLOT_HEADER: "candidate-a"}}},
                            "weight": 0,
                        },
                    ],
                    "retries": {"attempts": 0},
                    "timeout": "30s",
                }
            ]
        },
    }


def test_istio_s_own_schema_allows_the_split_when_it_has_two_or_three_slots() -> None:
    for slots in (SLOTS, ("stable", "candidate-b", "candidate-a")):
        manifest = plan(None, slots).manifest
        assert manifest is not None
        check_custom(manifest)


def test_nothing_is_written_when_the_split_is_as_it_should_be() -> None:
    assert plan(stored(plan(None))) == SplitPlan(manifest=None, exists=True)


def test_nothing_is_written_when_only_the_weights_were_changed() -> None:
    moved = with_weights(stored(plan(None)), {"stable": 30, "candidate-a": 70})
    assert plan(moved).manifest is None


def test_slot_is_added_without_traffic_when_the_root_declares_a_new_one() -> None:
    moved = with_weights(stored(plan(None)), {"stable": 30, "candidate-a": 70})
    changed = plan(moved, slots=("stable", "candidate-a", "candidate-b"))
    assert weights(changed.manifest) == {"stable": 30, "candidate-a": 70, "candidate-b": 0}
    assert changed.manifest is not None
    assert changed.manifest["metadata"]["resourceVersion"] == "7"


def test_destination_goes_when_its_slot_is_no_longer_declared_and_has_no_traffic() -> None:
    three = stored(plan(None, slots=("stable", "candidate-a", "candidate-b")))
    changed = plan(three)
    assert weights(changed.manifest) == {"stable": 1000, "candidate-a": 0}
    assert changed.problems == ()


def test_destination_stays_and_is_reported_when_its_slot_is_no_longer_declared_but_has_traffic() -> None:
    three = stored(plan(None, slots=("stable", "candidate-a", "candidate-b")))
    moved = with_weights(three, {"stable": 80, "candidate-a": 0, "candidate-b": 20})
    changed = plan(moved)
    assert changed.manifest is None
    assert len(changed.problems) == 1
    assert "'candidate-b'" in changed.problems[0]
    assert "weight 20" in changed.problems[0]


def test_order_is_repaired_and_weights_stay_when_somebody_sorted_the_destinations() -> None:
    moved = with_weights(stored(plan(None)), {"stable": 90, "candidate-a": 10})
    moved["spec"]["http"][0]["route"].reverse()
    changed = plan(moved)
    assert list(weights(changed.manifest).items()) == [("stable", 90), ("candidate-a", 10)]


def test_mirror_and_foreign_routes_stay_when_the_split_is_adapted() -> None:
    body = stored(plan(None))
    body["spec"]["http"][0] |= {"mirror": {"host": "drift"}, "timeout": "3s"}
    body["spec"]["http"].insert(0, {"name": "preview", "match": [{"headers": {"x-preview": {"exact": "1"}}}]})
    changed = plan(body)
    assert changed.manifest is not None
    preview, split = changed.manifest["spec"]["http"]
    assert preview == body["spec"]["http"][0]
    assert split["mirror"] == {"host": "drift"}
    assert split["timeout"] == "30s"


def test_headers_of_a_destination_stay_when_the_slot_header_is_added() -> None:
    body = stored(plan(None))
    body["spec"]["http"][0]["route"][0]["headers"] = {"request": {"add": {"a": "b"}}, "response": {"remove": ["c"]}}
    changed = plan(body)
    assert changed.manifest is not None
    assert changed.manifest["spec"]["http"][0]["route"][0]["headers"] == {
        "request": {"add": {"a": "b"}},
        "response": {"remove": ["c"], "set": {SLOT_HEADER: "stable"}},
    }


def test_lone_destination_keeps_all_traffic_when_it_has_no_weight() -> None:
    body = stored(plan(None))
    route = body["spec"]["http"][0]["route"]
    body["spec"]["http"][0]["route"] = [{"destination": route[1]["destination"]}]
    assert weights(plan(body).manifest) == {"stable": 0, "candidate-a": 1000}


def test_zero_weights_are_reported_and_kept_when_somebody_set_them() -> None:
    changed = plan(with_weights(stored(plan(None)), {"stable": 0, "candidate-a": 0}))
    assert changed.manifest is None
    assert len(changed.problems) == 1
    assert "weight 0" in changed.problems[0]


def test_owner_is_renewed_when_the_root_was_replaced() -> None:
    moved = with_weights(stored(plan(None)), {"stable": 60, "candidate-a": 40})
    changed = plan(moved, uid="uid-2")
    assert changed.manifest is not None
    assert [owner["uid"] for owner in changed.manifest["metadata"]["ownerReferences"]] == ["uid-2"]
    assert weights(changed.manifest) == {"stable": 60, "candidate-a": 40}


@pytest.mark.parametrize("spec", [None, {}, {"http": []}, {"http": [{"name": "split"}]}])
def test_route_is_made_anew_when_an_existing_split_has_none(spec: JsonObject | None) -> None:
    body = stored(plan(None)) | {"spec": spec}
    assert weights(plan(body).manifest) == {"stable": 1000, "candidate-a": 0}


def test_nothing_is_written_when_the_split_is_being_deleted() -> None:
    body = stored(plan(None))
    body["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "labels": {}}
    assert plan(body).manifest is None


def test_timeout_changes_when_the_setting_does() -> None:
    changed = plan(stored(plan(None)), timeout_seconds=5)
    assert changed.manifest is not None
    assert changed.manifest["spec"]["http"][0]["timeout"] == "5s"


@pytest.mark.parametrize("slots", [(), ("candidate-a",), ("stable", "stable")])
def test_root_is_refused_with_field_and_value_when_its_slots_are_wrong(slots: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRootError, match=rf"{SLOTS_ANNOTATION}='{','.join(slots)}'"):
        parse_root(root_body(slots))


def test_root_is_refused_when_it_names_no_model() -> None:
    body = root_body()
    del body["metadata"]["labels"][MODEL_LABEL]
    with pytest.raises(InvalidRootError, match=MODEL_LABEL):
        parse_root(body)


@pytest.mark.parametrize(("role", "model"), [("root", MODEL), ("split", MODEL), ("other", None), (None, None)])
def test_model_is_known_only_when_the_object_is_a_root_or_a_split(role: str | None, model: str | None) -> None:
    assert model_of({"metadata": {"labels": {TRAFFIC_ROLE_LABEL: role, MODEL_LABEL: MODEL}}}) == model


_NAMES = ("stable", "candidate-a", "candidate-b", "candidate-c")
_declared = st.lists(st.sampled_from(_NAMES[1:]), unique=True).flatmap(
    lambda others: st.permutations(["stable", *others])
)


@st.composite
def shared_out(draw: st.DrawFn) -> dict[str, int]:
    """Whole percentages for two to four slots that add up to 100, in any order."""
    slots = draw(st.permutations(_NAMES))[: draw(st.integers(2, 4))]
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(slots) - 1, max_size=len(slots) - 1)))
    return {slot: high - low for slot, low, high in zip(slots, [0, *cuts], [*cuts, 100], strict=True)}


def written(current: dict[str, int]) -> JsonObject:
    route = [{"destination": {"host": MODEL, "subset": slot}, "weight": weight} for slot, weight in current.items()]
    return {"metadata": {"resourceVersion": "1"}, "spec": {"http": [{"name": "split", "route": route}]}}


@given(current=shared_out(), slots=_declared)
def test_no_weight_changes_whatever_was_set_and_whatever_is_declared(current: dict[str, int], slots: list[str]) -> None:
    made = plan(written(current), slots=tuple(slots))
    after = weights(made.manifest)
    assert {slot: weight for slot, weight in after.items() if weight} == {
        slot: weight for slot, weight in current.items() if weight
    }
    assert list(after)[: len(slots)] == slots
    assert len(made.problems) == sum(weight > 0 for slot, weight in current.items() if slot not in slots)


@given(current=shared_out(), slots=_declared)
def test_second_look_finds_nothing_to_do_when_the_first_was_applied(current: dict[str, int], slots: list[str]) -> None:
    first = plan(written(current), slots=tuple(slots))
    second = plan(stored(first), slots=tuple(slots))
    assert second.manifest is None
    assert second.problems == first.problems


_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["http", "name", "x"]), inner),
    max_leaves=8,
)


@given(spec=_json)
def test_a_complete_split_comes_out_when_the_existing_one_makes_no_sense(spec: Any) -> None:
    made = plan({"metadata": {"resourceVersion": "1"}, "spec": spec})
    assert made.manifest is not None
    split = next(route for route in made.manifest["spec"]["http"] if route.get("name") == "split-00")
    assert [entry["weight"] for entry in split["route"]] == [1000, 0]


def test_route_keeps_its_weights_and_gets_a_number_when_it_was_written_without_one() -> None:
    old = written({"stable": 70, "candidate-a": 30})
    changed = plan(old)
    assert changed.manifest is not None
    assert [route["name"] for route in changed.manifest["spec"]["http"]] == ["split-00"]
    assert weights(changed.manifest) == {"stable": 70, "candidate-a": 30}


def test_salt_stays_when_the_split_is_kept() -> None:
    body = stored(plan(None))
    body["spec"]["http"][0]["name"] = split_route(7)
    assert plan(body) == SplitPlan(manifest=None, exists=True)


THREE = ("stable", "candidate-a", "candidate-b")
APART = (("stable", 690), ("candidate-a", 10), ("stable", 290), ("candidate-b", 10))


def destinations(manifest: JsonObject | None) -> tuple[tuple[str, int], ...]:
    assert manifest is not None
    return tuple((entry["destination"]["subset"], entry["weight"]) for entry in manifest["spec"]["http"][0]["route"])


def apart() -> JsonObject:
    """Return a split of three arms in the middle of a ramp, as the API server has it."""
    wanted = RouteState(weights={"stable": 980, "candidate-a": 10, "candidate-b": 10}, salt_index=3, layout=APART)
    body = stored(plan(stored(plan(None, THREE)), THREE, wanted=wanted))
    assert route_of(body) == wanted
    return body


def test_stable_is_listed_between_candidates_when_the_route_keeps_them_apart() -> None:
    body = apart()
    check_custom({key: value for key, value in body.items() if key != "status"})
    assert destinations(body) == APART
    for entry in body["spec"]["http"][0]["route"]:
        assert entry["headers"]["response"]["set"] == {SLOT_HEADER: entry["destination"]["subset"]}
    assert plan(body, THREE) == SplitPlan(manifest=None, exists=True)


def test_gaps_stay_before_their_slots_when_slots_come_or_were_sorted() -> None:
    body = apart()
    grown = plan(body, (*THREE, "candidate-c"))
    assert destinations(grown.manifest) == (*APART, ("candidate-c", 0))
    body["spec"]["http"][0]["route"].reverse()
    sorted_again = plan(body, THREE).manifest
    assert weights(sorted_again) | {"stable": 980} == {"stable": 980, "candidate-a": 10, "candidate-b": 10}
    assert sum(weight for _, weight in destinations(sorted_again)) == 1000


def test_one_destination_each_is_left_when_all_traffic_is_on_stable_again() -> None:
    wanted = RouteState(weights={"stable": 1000, "candidate-a": 0, "candidate-b": 0}, salt_index=3)
    assert destinations(plan(apart(), THREE, wanted=wanted).manifest) == tuple(wanted.weights.items())


def test_route_is_as_asked_for_when_weights_salt_and_mirror_are() -> None:
    wanted = RouteState(
        weights={"stable": 995, "candidate-a": 5}, salt_index=15, mirror=Mirror(slot="candidate-a", percent=12.5)
    )
    changed = plan(stored(plan(None)), wanted=wanted)
    assert changed.manifest is not None
    (route,) = changed.manifest["spec"]["http"]
    assert route["name"] == "split-15"
    assert route["mirror"] == {"host": MODEL, "port": {"number": 8501}, "subset": "candidate-a"}
    assert route["mirrorPercentage"] == {"value": 12.5}
    assert changed.manifest["metadata"]["resourceVersion"] == "7"
    check_custom(changed.manifest)


def test_mirror_goes_when_the_wanted_route_has_none() -> None:
    everything = {"stable": 1000, "candidate-a": 0}
    mirrored = RouteState(weights=everything, salt_index=0, mirror=Mirror(slot="candidate-a", percent=1))
    body = stored(plan(stored(plan(None)), wanted=mirrored))
    changed = plan(body, wanted=RouteState(weights=everything, salt_index=0))
    assert changed.manifest is not None
    (route,) = changed.manifest["spec"]["http"]
    assert "mirror" not in route
    assert "mirrorPercentage" not in route


def test_foreign_mirror_and_foreign_routes_stay_when_weights_are_set() -> None:
    body = stored(plan(None))
    body["spec"]["http"][0]["mirror"] = {"host": "drift"}
    body["spec"]["http"].insert(0, {"name": "preview", "match": [{"headers": {"x-preview": {"exact": "1"}}}]})
    changed = plan(body, wanted=RouteState(weights={"stable": 500, "candidate-a": 500}, salt_index=1))
    assert changed.manifest is not None
    preview, split = changed.manifest["spec"]["http"]
    assert preview == body["spec"]["http"][0]
    assert split["mirror"] == {"host": "drift"}
    assert route_of(changed.manifest) == RouteState(weights={"stable": 500, "candidate-a": 500}, salt_index=1)


def test_nothing_is_written_when_the_wanted_route_is_there() -> None:
    wanted = RouteState(weights={"stable": 900, "candidate-a": 100}, salt_index=3)
    assert plan(stored(plan(stored(plan(None)), wanted=wanted)), wanted=wanted).manifest is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RouteState(weights={"stable": 500, "candidate-b": 500}, salt_index=0), r"slots=\['candidate-b'\]"),
        (RouteState(weights={"stable": 0, "candidate-a": 0}, salt_index=0), "not all 0"),
        (RouteState(weights={}, salt_index=0), "not all 0"),
        (RouteState(weights={"stable": 1001, "candidate-a": -1}, salt_index=0), ">= 0"),
        (
            RouteState(weights={"stable": 1000}, salt_index=0, mirror=Mirror(slot="candidate-x", percent=5)),
            r"slots=\['candidate-x'\]",
        ),
    ],
)
def test_wanted_route_is_refused_when_it_makes_no_sense(wanted: RouteState, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(stored(plan(None)), wanted=wanted)


@given(before=shared_out(), slots=_declared, salt_index=st.integers(0, 15), data=st.data())
def test_written_route_reads_back_as_wanted_whatever_was_there(
    before: dict[str, int], slots: list[str], salt_index: int, data: st.DataObject
) -> None:
    given_weights = data.draw(st.lists(st.integers(0, 1000), min_size=len(slots), max_size=len(slots)).filter(any))
    mirror = data.draw(
        st.none() | st.builds(Mirror, slot=st.sampled_from(slots), percent=st.sampled_from([0.1, 10.0, 100.0]))
    )
    wanted = RouteState(weights=dict(zip(slots, given_weights, strict=True)), salt_index=salt_index, mirror=mirror)
    made = plan(written(before), slots=tuple(slots), wanted=wanted)
    assert made.manifest is not None
    read = route_of(made.manifest)
    assert read is not None
    assert list(read.weights) == slots
    if len(slots) > 1:
        assert read == wanted
    assert plan(stored(made), slots=tuple(slots), wanted=wanted).manifest is None


@pytest.mark.parametrize("spec", [{}, {"http": []}, {"http": [{"name": "preview"}]}, {"http": [{"name": "split-16"}]}])
def test_no_route_is_read_when_the_split_has_none_of_ours(spec: JsonObject) -> None:
    assert route_of({"spec": spec}) is None


def test_slots_are_declared_under_the_registry_name_when_roots_make_sense() -> None:
    leaving = root_body()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    leaving["spec"]["http"][0]["match"][0]["uri"]["exact"] = "/v1/models/gone"
    nameless = root_body() | {"spec": {"http": [{"match": [{"uri": {"prefix": "/v1/models/x/"}}]}]}}
    wrong = root_body(slots=("candidate-a",))
    assert declared_slots([leaving, nameless, wrong]) == {}
    assert declared_slots([wrong, root_body(), leaving]) == {"content_quality_model": SLOTS}
