"""Forecasts, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import json

import pytest

from local.provider import objects
from local.provider.values import UNKNOWN, pluck
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.samples import config_map, deployment, route, service
from tests.local.provider.verbs import RefusedError, Verbs, verbs


def test_defaults_are_known_and_addresses_unknown_when_previewed(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    forecast = provider.preview_create(service(namespace))

    assert forecast["spec"]["sessionAffinity"] == "None"
    assert forecast["spec"]["clusterIP"] is UNKNOWN
    assert forecast["metadata"]["uid"] is UNKNOWN
    assert api_server.client.find(f"/api/v1/namespaces/{namespace}/services/web") is None


def test_the_namespace_may_be_missing_when_previewed(provider: Verbs) -> None:
    forecast = provider.preview_create(deployment("not-made-yet"))

    assert forecast["metadata"]["namespace"] == "not-made-yet"
    assert forecast["metadata"]["name"] == "web"
    assert forecast["spec"]["progressDeadlineSeconds"] == 600


def test_mistakes_are_found_when_previewed_in_a_missing_namespace(provider: Verbs) -> None:
    with pytest.raises(RefusedError, match="httpp"):
        provider.preview_create({**route("not-made-yet", []), "spec": {"httpp": []}})


def test_a_replacement_can_be_previewed_when_the_old_object_is_in_its_way(provider: Verbs, namespace: str) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace, "annotations": {objects.SKIP_AWAIT_ANNOTATION: "true"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}},
    }
    resource = provider.create(job)
    changed = json.loads(json.dumps(job).replace('"image": "a"', '"image": "b"'))
    assert provider.diff(resource, changed).deleteBeforeReplace

    forecast = provider.preview_create(changed)

    assert forecast["metadata"]["name"] == "once"
    assert pluck(forecast, "spec", "template", "spec", "containers")[0]["image"] == "b"


def test_inputs_come_back_when_they_are_unknown(provider: Verbs, namespace: str) -> None:
    forecast = provider.preview_create(config_map(namespace, a=UNKNOWN))  # pyright: ignore[reportArgumentType] a mark

    assert forecast["data"] == {"a": UNKNOWN}


def test_inputs_come_back_when_no_cluster_answers() -> None:
    with verbs() as calls:
        calls.configure(kubeconfig="/nowhere")
        forecast = calls.preview_create(config_map("n"))
        with pytest.raises(RefusedError, match="the cluster does not answer: kubeconfig /nowhere: No such file"):
            calls.create(config_map("n"))

    assert forecast["data"] == {"a": "1"}
    assert forecast["status"] is UNKNOWN
