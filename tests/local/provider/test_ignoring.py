"""ignore_changes under server-side apply. That the engine asks for it like this is the engine tests' part."""

from __future__ import annotations

from typing import Any

from local.provider.ignoring import without_ignored_changes
from local.provider.kubeclient import FIELD_MANAGER
from local.provider.paths import parse_path
from local.provider.values import Object


def _live(spec: Any, *, ours: Object | None = None, others: Object | None = None) -> Object:
    entries = [
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": ours or {}}},
        {"manager": "autoscaler", "operation": "Update", "fieldsV1": {"f:spec": others or {}}},
    ]
    return {"metadata": {"managedFields": entries}, "spec": spec}


def _applied(spec: Any, live: Object, *ignored: str) -> Any:
    return without_ignored_changes({"spec": spec}, live, [parse_path(text) for text in ignored])["spec"]


def test_a_field_is_left_out_when_somebody_else_owns_it() -> None:
    live = _live({"replicas": 7, "image": "a"}, ours={"f:image": {}}, others={"f:replicas": {}})

    assert _applied({"replicas": 2, "image": "b"}, live, "spec.replicas") == {"image": "b"}


def test_a_field_keeps_its_live_value_when_we_own_it() -> None:
    live = _live({"replicas": 7}, ours={"f:replicas": {}})

    assert _applied({"replicas": 2}, live, "spec.replicas") == {"replicas": 7}


def test_a_field_keeps_its_live_value_when_it_is_shared() -> None:
    live = _live({"replicas": 7}, ours={"f:replicas": {}}, others={"f:replicas": {}})

    assert _applied({"replicas": 2}, live, "spec.replicas") == {"replicas": 7}


def test_the_whole_list_is_left_out_when_an_ignored_part_belongs_to_somebody_else() -> None:
    live = _live({"http": [{"weight": 10}], "hosts": ["a"]}, ours={"f:hosts": {}}, others={"f:http": {}})

    assert _applied({"http": [{"weight": 100}], "hosts": ["b"]}, live, "spec.http[0].weight") == {"hosts": ["b"]}


def test_elements_are_found_by_key_when_their_order_differs() -> None:
    ours: Object = {"f:containers": {'k:{"name":"a"}': {"f:image": {}}, 'k:{"name":"b"}': {"f:image": {}}}}
    live = _live({"containers": [{"name": "b", "image": "b-live"}, {"name": "a", "image": "a-live"}]}, ours=ours)
    desired = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}

    assert _applied(desired, live, "spec.containers[*].image") == {
        "containers": [{"name": "a", "image": "a-live"}, {"name": "b", "image": "b-live"}]
    }


def test_a_new_field_is_applied_when_the_live_object_has_none() -> None:
    assert _applied({"replicas": 2}, _live({}), "spec.replicas") == {"replicas": 2}


def test_nested_patterns_do_no_harm_when_their_parent_is_left_out() -> None:
    live = _live({"strategy": {"type": "X"}}, others={"f:strategy": {"f:type": {}}})

    assert _applied({"strategy": {"type": "Y"}}, live, "spec.strategy", "spec.strategy.type") == {}


def test_wildcards_reach_every_key_when_they_stand_for_a_map() -> None:
    live = _live({"labels": {"a": "live", "b": "live"}}, ours={"f:labels": {"f:a": {}, "f:b": {}}})

    assert _applied({"labels": {"a": "1", "b": "2"}}, live, "spec.labels.*") == {"labels": {"a": "live", "b": "live"}}
