"""The split as a function of its root and of what is there; what the mesh makes of it is shown end to end."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts import MODEL_LABEL, SLOT_HEADER, TRAFFIC_ROLE_LABEL, split_route
from ml.controller.splits import SplitPlan, model_of
from ml.kubernetes import JsonObject
from tests.ml.controller.split_objects import DECLARED, MODEL, SLOTS, plan, shared_out, stored, weights, written
from tests.support.schemas import check_custom


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


@pytest.mark.parametrize(("role", "model"), [("root", MODEL), ("split", MODEL), ("other", None), (None, None)])
def test_model_is_known_only_when_the_object_is_a_root_or_a_split(role: str | None, model: str | None) -> None:
    assert model_of({"metadata": {"labels": {TRAFFIC_ROLE_LABEL: role, MODEL_LABEL: MODEL}}}) == model


@given(current=shared_out(), slots=DECLARED)
def test_no_weight_changes_whatever_was_set_and_whatever_is_declared(current: dict[str, int], slots: list[str]) -> None:
    made = plan(written(current), slots=tuple(slots))
    after = weights(made.manifest)
    assert {slot: weight for slot, weight in after.items() if weight} == {
        slot: weight for slot, weight in current.items() if weight
    }
    assert list(after)[: len(slots)] == slots
    assert len(made.problems) == sum(weight > 0 for slot, weight in current.items() if slot not in slots)


@given(current=shared_out(), slots=DECLARED)
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
