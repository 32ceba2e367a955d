"""Deleting objects and what they own, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import pytest

from local.provider import objects
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.samples import await_pod, config_map, deployment
from tests.local.provider.verbs import RefusedError, Verbs


def test_an_object_and_what_it_owns_are_gone_when_deleted(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    made = provider.create(deployment(namespace, {objects.SKIP_AWAIT_ANNOTATION: "true"}))
    await_pod(api_server, namespace)

    provider.delete(made)

    assert api_server.client.list(f"/api/v1/namespaces/{namespace}/pods") == []
    assert api_server.client.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is None


def test_what_it_owns_stays_when_the_annotation_orphans_it(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    annotations = {objects.SKIP_AWAIT_ANNOTATION: "true", objects.PROPAGATION_ANNOTATION: "orphan"}
    made = provider.create(deployment(namespace, annotations))
    await_pod(api_server, namespace)

    provider.delete(made)

    assert api_server.client.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/web") is None
    assert len(api_server.client.list(f"/api/v1/namespaces/{namespace}/pods")) == 1


def test_deleting_again_is_fine_when_it_is_gone(provider: Verbs, namespace: str) -> None:
    made = provider.create(config_map(namespace))

    provider.delete(made)
    provider.delete(made)


def test_the_finalizer_is_named_when_it_holds_an_object(
    provider: Verbs, api_server: ControlPlane, namespace: str
) -> None:
    held = config_map(namespace)
    held["metadata"]["finalizers"] = ["example.org/held"]
    made = provider.create(held)

    with pytest.raises(RefusedError, match=r"still exists after 1 s: finalizer example\.org/held"):
        provider.delete(made, timeout_seconds=1)

    api_server.patch(namespace, "configmap/settings", {"metadata": {"finalizers": None}})


def test_a_namespace_is_gone_with_its_content_when_deleted(provider: Verbs, api_server: ControlPlane) -> None:
    made = provider.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}})
    provider.create(config_map("short-lived"))

    provider.delete(made)

    assert api_server.client.find("/api/v1/namespaces/short-lived") is None
