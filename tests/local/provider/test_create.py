"""Making objects, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import threading
import time

import pytest

from local.provider import objects
from local.provider.kubeclient import FIELD_MANAGER
from local.provider.values import UNKNOWN, Secret
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.samples import config_map, route, service
from tests.local.provider.verbs import InitFailedError, RefusedError, Verbs


def test_an_object_names_its_owner_when_created(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    resource = provider.create(config_map(namespace))

    live = api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")
    assert resource.id == f"{namespace}/settings"
    assert objects.annotation(live, objects.OWNER_ANNOTATION) == resource.urn
    assert live["metadata"]["managedFields"][0]["manager"] == FIELD_MANAGER
    assert resource.outputs["metadata"]["uid"] == live["metadata"]["uid"]


def test_a_foreign_object_is_refused_and_untouched_when_it_bears_the_name(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    api_server.kubectl("-n", namespace, "create", "configmap", "settings", "--from-literal=a=theirs")

    for attempt in (provider.create, provider.preview_create):
        with pytest.raises(RefusedError, match="exists already and nothing says that this stack made it"):
            attempt(config_map(namespace))

    live = api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")
    assert live["data"] == {"a": "theirs"}
    assert objects.annotation(live, objects.OWNER_ANNOTATION) is None


def test_an_object_of_another_resource_is_refused_when_it_bears_the_name(provider: Verbs, namespace: str) -> None:
    provider.create(config_map(namespace), name="first")

    with pytest.raises(RefusedError, match="it belongs to urn:pulumi:test::verbs::kubernetes:core/v1:ConfigMap::first"):
        provider.create(config_map(namespace), name="second")


def test_an_object_is_continued_with_when_an_interrupted_run_left_it(provider: Verbs, namespace: str) -> None:
    left_behind = provider.create(config_map(namespace, a="1"))

    resource = provider.create(config_map(namespace, a="2"))

    assert resource.outputs["metadata"]["uid"] == left_behind.outputs["metadata"]["uid"]
    assert resource.outputs["data"] == {"a": "2"}


def test_the_old_object_is_refused_when_its_replacement_bears_its_name(provider: Verbs, namespace: str) -> None:
    resource = provider.create(config_map(namespace))
    provider.diff(resource, config_map(namespace, a="2"))

    with pytest.raises(RefusedError, match="Remedy: set delete_before_replace"):
        provider.create(config_map(namespace, a="2"))


def test_an_object_that_is_being_deleted_is_waited_for_when_it_bears_the_name(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.org/held"]
    old = provider.create(held)
    api_server.kubectl("-n", namespace, "delete", "configmap", "settings", "--wait=false")
    release = threading.Timer(
        0.5, api_server.patch, (namespace, "configmap/settings", {"metadata": {"finalizers": None}})
    )
    release.start()

    resource = provider.create(config_map(namespace))

    release.join()
    assert resource.outputs["metadata"]["uid"] != old.outputs["metadata"]["uid"]


def test_the_field_is_named_when_a_custom_resource_does_not_have_it(provider: Verbs, namespace: str) -> None:
    wrong = route(namespace, [])
    wrong["spec"]["httpp"] = []

    for attempt in (provider.create, provider.preview_create):
        with pytest.raises(RefusedError, match="httpp"):
            attempt(wrong)


def test_the_field_is_named_when_a_built_in_kind_does_not_have_it(provider: Verbs, namespace: str) -> None:
    with pytest.raises(RefusedError, match="sselector"):
        provider.create(service(namespace, sselector={}))


def test_the_kind_is_named_when_the_server_does_not_know_it(provider: Verbs, namespace: str) -> None:
    unknown = {"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "x", "namespace": namespace}}

    with pytest.raises(RefusedError, match=r"no kind 'Nothing' in apiVersion 'example.org/v1'"):
        provider.create(unknown)
    assert provider.preview_create(unknown)["status"] is UNKNOWN


def test_a_missing_namespace_is_named_when_creating(provider: Verbs) -> None:
    with pytest.raises(RefusedError, match='namespaces "nowhere" not found'):
        provider.create(config_map("nowhere"))


def test_the_secret_is_not_shown_when_the_server_repeats_it(provider: Verbs, namespace: str) -> None:
    wanted = service(namespace, type=Secret("swordfish"))

    with pytest.raises(RefusedError) as caught:
        provider.create(wanted)

    assert "[secret]" in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_an_object_is_kept_when_it_does_not_become_ready(provider: Verbs, namespace: str) -> None:
    with pytest.raises(InitFailedError) as caught:
        provider.create(service(namespace, selector={"app": "web"}), timeout_seconds=0.5)

    assert caught.value.resource_id == f"{namespace}/web"
    assert caught.value.outputs["spec"]["clusterIP"].startswith("10.96.")
    assert "not ready after 0.5 s: no pod that is ready has the labels app=web" in caught.value.reasons[0]


def test_waiting_is_left_out_when_the_annotation_says_so(provider: Verbs, namespace: str) -> None:
    wanted = service(namespace, selector={"app": "web"})
    wanted["metadata"]["annotations"] = {objects.SKIP_AWAIT_ANNOTATION: "true"}

    assert provider.create(wanted).id == f"{namespace}/web"


def test_the_annotation_bounds_the_wait_when_no_option_does(provider: Verbs, namespace: str) -> None:
    wanted = service(namespace, selector={"app": "web"})
    wanted["metadata"]["annotations"] = {objects.TIMEOUT_ANNOTATION: "0.3"}
    started = time.monotonic()

    with pytest.raises(InitFailedError):
        provider.create(wanted, timeout_seconds=0)

    assert time.monotonic() - started < 5


def test_waiting_ends_at_once_when_cancelled(provider: Verbs, namespace: str) -> None:
    threading.Timer(0.5, provider.cancel).start()
    started = time.monotonic()

    with pytest.raises(InitFailedError) as caught:
        provider.create(service(namespace, selector={"app": "web"}), timeout_seconds=60)

    assert time.monotonic() - started < 20
    assert "cancelled before it was ready" in caught.value.reasons[0]
