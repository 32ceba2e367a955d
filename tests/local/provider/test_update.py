"""Comparing and changing objects, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto import provider_pb2

from local.provider import objects
from local.provider.kubeclient import FIELD_MANAGER
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.samples import config_map, deployment, route
from tests.local.provider.verbs import RefusedError, Verbs

_DIFF = provider_pb2.PropertyDiff


def test_changes_are_listed_with_their_kind_when_compared(provider: Verbs, namespace: str) -> None:
    resource = provider.create(config_map(namespace, a="1", b="2"))

    answer = provider.diff(resource, config_map(namespace, a="9", c="3"))

    assert {path: detail.kind for path, detail in answer.detailedDiff.items()} == {
        "data.a": _DIFF.UPDATE_REPLACE,
        "data.b": _DIFF.DELETE_REPLACE,
        "data.c": _DIFF.ADD_REPLACE,
    }
    assert list(answer.diffs) == ["data"]
    assert answer.deleteBeforeReplace


def test_nothing_is_listed_when_nothing_changed(provider: Verbs, namespace: str) -> None:
    answer = provider.diff(provider.create(config_map(namespace)), config_map(namespace))

    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_removed_fields_disappear_when_updated(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    resource = provider.create(config_map(namespace, a="1", b="2"))

    provider.update(resource, config_map(namespace, a="3"))

    assert api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")["data"] == {"a": "3"}


def test_nothing_is_changed_when_an_update_is_previewed(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(config_map(namespace, a="1"))

    forecast = provider.update(resource, config_map(namespace, a="2"), preview=True)

    assert forecast.outputs["data"] == {"a": "2"}
    assert forecast.outputs["metadata"]["uid"] == resource.outputs["metadata"]["uid"]
    assert api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")["data"] == {"a": "1"}


def test_an_object_is_made_again_when_it_was_deleted_meanwhile(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(config_map(namespace))
    api_server.kubectl("-n", namespace, "delete", "configmap", "settings")

    updated = provider.update(resource, config_map(namespace, a="2"))

    assert updated.outputs["data"] == {"a": "2"}


def test_an_object_is_left_alone_when_somebody_else_made_it_anew(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(config_map(namespace))
    api_server.kubectl("-n", namespace, "delete", "configmap", "settings")
    api_server.kubectl("-n", namespace, "create", "configmap", "settings", "--from-literal=a=theirs")

    with pytest.raises(RefusedError, match="it is left alone"):
        provider.update(resource, config_map(namespace, a="2"))
    provider.delete(resource)

    assert api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")["data"] == {"a": "theirs"}


def test_the_owner_is_named_when_a_field_belongs_to_somebody_else(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(config_map(namespace))
    api_server.patch(namespace, "configmap/settings", {"data": {"a": "theirs"}})

    with pytest.raises(RefusedError, match=r'\.data\.a \(conflict with "kubectl-patch"'):
        provider.update(resource, config_map(namespace, a="2"))


def test_a_field_is_taken_over_when_the_annotation_says_so(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(config_map(namespace))
    api_server.patch(namespace, "configmap/settings", {"data": {"a": "theirs"}})
    forced = config_map(namespace, a="2")
    forced["metadata"]["annotations"] = {objects.FORCE_ANNOTATION: "true"}

    assert provider.update(resource, forced).outputs["data"] == {"a": "2"}


def test_an_ignored_field_stays_with_its_owner_when_something_else_is_updated(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    skip = {objects.SKIP_AWAIT_ANNOTATION: "true"}
    resource = provider.create(deployment(namespace, skip))
    api_server.kubectl("-n", namespace, "scale", "deployment/web", "--replicas=3")

    updated = provider.update(resource, deployment(namespace, {**skip, "note": "new"}), ignored=["spec.replicas"])

    live = api_server.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    assert updated.outputs["spec"]["replicas"] == 3
    assert objects.annotation(live, "note") == "new"
    owners = [
        entry["manager"]
        for entry in live["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert FIELD_MANAGER not in owners


def test_weights_of_somebody_else_stay_when_their_list_is_ignored(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    resource = provider.create(route(namespace, [{"name": "split", "weight": 100}]))
    api_server.patch(namespace, "route/split", {"spec": {"http": [{"name": "split", "weight": 10}]}})
    changed = route(namespace, [{"name": "split", "weight": 100}])
    changed["spec"]["hosts"] = ["b"]

    updated = provider.update(resource, changed, ignored=["spec.http"])

    assert updated.outputs["spec"] == {"hosts": ["b"], "http": [{"name": "split", "weight": 10}]}
