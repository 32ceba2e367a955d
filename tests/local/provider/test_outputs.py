"""What the engine is told about objects, and what it is not."""

from __future__ import annotations

import base64

from local.provider import outputs
from local.provider.errors import redact, refused
from local.provider.kubeclient import ApiError
from local.provider.objects import parse_resource_id, resource_id, to_apply
from local.provider.values import UNKNOWN, Object, Secret, pluck

_METADATA: Object = {
    "name": "x",
    "namespace": "n",
    "uid": "u",
    "resourceVersion": "1",
    "managedFields": [{}],
    "generation": 1,
}


def _live(kind: str, api_version: str = "v1", **fields: object) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": dict(_METADATA), **fields}


def test_managed_fields_are_left_out_when_an_object_is_kept() -> None:
    kept = outputs.of_live(_live("ConfigMap", data={"a": "1"}), {})

    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["uid"] == "u"


def test_the_data_of_a_secret_is_secret_when_nothing_marks_it() -> None:
    assert outputs.of_live(_live("Secret", data={"a": "eA=="}), {})["data"] == Secret({"a": "eA=="})


def test_marks_are_carried_over_when_inputs_hold_secrets() -> None:
    inputs: Object = {"spec": {"password": Secret("p"), "user": "u"}}

    kept = outputs.of_live(_live("Thing", spec={"password": "p", "user": "u"}), inputs)

    assert kept["spec"] == {"password": Secret("p"), "user": "u"}


def test_made_up_values_are_unknown_when_an_object_is_forecast() -> None:
    service = _live("Service", spec={"clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1"], "type": "ClusterIP"})

    forecast = outputs.forecast(service, {"spec": {}})

    assert forecast["metadata"] == {
        "name": "x",
        "namespace": "n",
        "uid": UNKNOWN,
        "resourceVersion": UNKNOWN,
        "creationTimestamp": UNKNOWN,
    }
    assert forecast["spec"]["clusterIP"] is UNKNOWN
    assert forecast["spec"]["type"] == "ClusterIP"
    assert forecast["status"] is UNKNOWN


def test_given_values_stay_known_when_an_object_is_forecast() -> None:
    service = _live("Service", spec={"clusterIP": "10.96.0.80"})

    assert pluck(outputs.forecast(service, {"spec": {"clusterIP": "10.96.0.80"}}), "spec", "clusterIP") == "10.96.0.80"


def test_node_ports_are_unknown_when_the_program_gives_none() -> None:
    ports = [{"port": 80, "nodePort": 30001}, {"port": 81, "nodePort": 30002}]
    wanted: Object = {"spec": {"ports": [{"port": 80}, {"port": 81, "nodePort": 30002}]}}

    forecast = outputs.forecast(_live("Service", spec={"type": "NodePort", "ports": ports}), wanted)

    assert forecast["spec"]["ports"] == [{"port": 80, "nodePort": UNKNOWN}, {"port": 81, "nodePort": 30002}]


def test_labels_of_a_job_are_the_programs_when_forecast() -> None:
    template = {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "made-up"}}}
    job = _live("Job", "batch/v1", spec={"selector": {"matchLabels": {"uid": "made-up"}}, "template": template})

    forecast = outputs.forecast(job, {"spec": {"template": {"spec": {}}}})

    assert forecast["spec"] == {"selector": UNKNOWN, "template": {"spec": {}}}


def test_string_data_becomes_data_when_applied() -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "é"}, "data": {"b": "Yg=="}}

    assert to_apply(secret)["data"] == {"a": base64.b64encode("é".encode()).decode(), "b": "Yg=="}


def test_nulls_status_and_server_fields_are_left_out_when_applied() -> None:
    obj = _live("Pod", "core/v1", spec={"a": None, "b": [{"c": None}]}, status={"phase": "x"})

    applied = to_apply(obj)

    assert applied == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {"b": [{}]},
    }


def test_secrets_are_taken_out_of_messages_when_they_appear_in_any_form() -> None:
    encoded = base64.b64encode(b"swordfish").decode()

    text = redact(f"got swordfish and {encoded} for Ann", {"a": Secret({"b": "swordfish"}), "c": Secret("Ann")})

    assert text == "got [secret] and [secret] for Ann"


def test_the_owner_of_a_field_is_named_when_an_apply_conflicts() -> None:
    cause = {"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": 'conflict with "kubectl"'}

    error = refused(_live("Deployment", "apps/v1"), ApiError(409, "Conflict", "conflict", {"causes": [cause]}))

    assert '.spec.replicas (conflict with "kubectl")' in str(error)
    assert "pulumi.com/patchForce" in str(error)


def test_ids_name_the_namespace_when_there_is_one() -> None:
    assert resource_id(_live("Pod")) == "n/x"
    assert parse_resource_id("n/x") == ("n", "x")
    assert parse_resource_id("x") == ("", "x")
