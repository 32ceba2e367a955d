"""Live objects read back as inputs: what is drift and what is not. managedFields are written by hand here; that the
API server writes them like this is shown by test_read and test_engine_changes."""

from __future__ import annotations

import base64
from typing import Any

from local.provider.kubeclient import FIELD_MANAGER
from local.provider.pruning import imported_inputs, inputs_from_live
from local.provider.values import Object

_OTHER = "kubectl-edit"


def _fields(manager: str, tree: Object) -> Object:
    operation = "Apply" if manager == FIELD_MANAGER else "Update"
    return {"manager": manager, "operation": operation, "fieldsV1": tree}


def _live(spec: Any, *entries: Object, **more: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "x", "uid": "u", "managedFields": list(entries)},
        "spec": spec,
        "status": {"phase": "Fine"},
        **more,
    }


def _inputs(spec: Any, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": spec, **more}


def test_inputs_stay_as_they_are_when_only_defaults_were_added() -> None:
    inputs = _inputs({"replicas": 1, "limits": {"cpu": "1000m"}, "labels": {}})
    live = _live({"replicas": 1, "limits": {"cpu": "1"}, "strategy": {"type": "RollingUpdate"}})

    assert inputs_from_live(live, inputs) == inputs


def test_changed_and_removed_fields_show_when_somebody_edited_them() -> None:
    live = _live({"replicas": 5}, _fields(_OTHER, {"f:spec": {"f:replicas": {}}}))

    assert inputs_from_live(live, _inputs({"replicas": 1, "paused": True}))["spec"] == {"replicas": 5}


def test_empty_and_zero_values_stay_when_the_server_leaves_them_out() -> None:
    inputs = _inputs({"a": {}, "b": [], "c": False, "d": 0, "e": ""})

    assert inputs_from_live(_live({}), inputs) == inputs


def test_elements_are_matched_by_their_keys_when_the_list_is_merged() -> None:
    tree: Object = {"f:spec": {"f:containers": {'k:{"name":"a"}': {"f:image": {}}, 'k:{"name":"b"}': {"f:image": {}}}}}
    containers = [{"name": "sidecar"}, {"name": "b", "image": "2", "tty": False}, {"name": "a", "image": "9"}]
    live = _live({"containers": containers}, _fields(FIELD_MANAGER, tree))

    pruned = inputs_from_live(live, _inputs({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}))

    assert pruned["spec"]["containers"] == [{"name": "a", "image": "9"}, {"name": "b", "image": "2"}]


def test_default_keys_match_when_the_program_leaves_them_out() -> None:
    tree: Object = {"f:spec": {"f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {"f:name": {}}}}}
    live = _live({"ports": [{"containerPort": 80, "protocol": "TCP", "name": "web"}]}, _fields(FIELD_MANAGER, tree))
    inputs = _inputs({"ports": [{"containerPort": 80, "name": "web"}]})

    assert inputs_from_live(live, inputs) == inputs


def test_a_removed_element_is_missing_when_the_list_is_merged() -> None:
    tree: Object = {"f:spec": {"f:containers": {'k:{"name":"a"}': {}}}}
    live = _live({"containers": [{"name": "a"}]}, _fields(FIELD_MANAGER, tree))

    assert inputs_from_live(live, _inputs({"containers": [{"name": "a"}, {"name": "b"}]}))["spec"] == {
        "containers": [{"name": "a"}]
    }


def test_an_atomic_list_is_taken_whole_when_somebody_else_replaced_it() -> None:
    live = _live({"http": [{"name": "split", "fault": {"abort": 1}}]}, _fields(_OTHER, {"f:spec": {"f:http": {}}}))

    pruned = inputs_from_live(live, _inputs({"http": [{"name": "split"}]}))

    assert pruned["spec"] == {"http": [{"name": "split", "fault": {"abort": 1}}]}


def test_defaults_inside_an_atomic_list_are_left_out_when_it_is_still_ours() -> None:
    tree: Object = {"f:spec": {"f:tolerations": {}}}
    live = _live({"tolerations": [{"key": "gpu", "effect": "default"}]}, _fields(FIELD_MANAGER, tree))
    inputs = _inputs({"tolerations": [{"key": "gpu"}]})

    assert inputs_from_live(live, inputs) == inputs


def test_an_added_key_shows_when_the_map_is_atomic_and_no_longer_ours() -> None:
    live = _live({"selector": {"app": "web", "pod": "only-this"}}, _fields(_OTHER, {"f:spec": {"f:selector": {}}}))

    assert inputs_from_live(live, _inputs({"selector": {"app": "web"}}))["spec"] == {
        "selector": {"app": "web", "pod": "only-this"}
    }


def test_members_of_others_are_left_out_when_the_list_is_a_set() -> None:
    tree: Object = {"f:spec": {"f:finalizers": {'v:"a"': {}, 'v:"z"': {}}}}
    live = _live({"finalizers": ["z", "a"]}, _fields(FIELD_MANAGER, tree))

    assert inputs_from_live(live, _inputs({"finalizers": ["a", "gone"]}))["spec"] == {"finalizers": ["a"]}


def test_string_data_is_read_back_when_the_secret_holds_it_as_data() -> None:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in {"a": "new", "b": "same"}.items()}
    live = {**_live({}), "kind": "Secret", "data": {**encoded, "raw": "AA=="}}
    inputs = {**_inputs({}), "kind": "Secret", "stringData": {"a": "old", "b": "same"}, "data": {"raw": "AA=="}}

    pruned = inputs_from_live(live, inputs)

    assert pruned["stringData"] == {"a": "new", "b": "same"}
    assert pruned["data"] == {"raw": "AA=="}


def test_the_spelling_of_the_api_version_stays_when_it_is_pulumis() -> None:
    assert inputs_from_live(_live({}), {**_inputs({}), "apiVersion": "core/v1"})["apiVersion"] == "core/v1"


def test_server_fields_are_left_out_when_an_object_is_imported() -> None:
    imported = imported_inputs(_live({"a": 1}))

    assert imported == {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"a": 1}}
