"""Reading objects back, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import json

import pytest

from local.provider import objects
from local.provider.values import Secret
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.samples import config_map, deployment, route, service
from tests.local.provider.verbs import InitFailedError, RefusedError, Resource, Verbs, token_of, urn_of


def test_inputs_stay_the_same_when_nothing_drifted(provider: Verbs, namespace: str) -> None:
    skip = {objects.SKIP_AWAIT_ANNOTATION: "true"}
    for made in (
        provider.create(deployment(namespace, skip)),
        provider.create(service(namespace)),
        provider.create(route(namespace, [{"name": "split"}])),
    ):
        found = provider.read(made)
        assert found is not None
        assert found.inputs == made.inputs


def test_drift_shows_in_the_inputs_when_read(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    made = provider.create(route(namespace, [{"name": "split", "weight": 100}]))
    api_server.patch(namespace, "route/split", {"spec": {"http": [{"name": "split", "weight": 100, "timeout": "1s"}]}})

    found = provider.read(made)

    assert found is not None
    assert found.inputs["spec"]["http"] == [{"name": "split", "weight": 100, "timeout": "1s"}]


def test_additions_of_others_are_no_drift_when_read(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    made = provider.create(deployment(namespace, {objects.SKIP_AWAIT_ANNOTATION: "true"}))
    sidecar = [{"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "extra", "image": "x"}}]
    api_server.kubectl("-n", namespace, "patch", "deployment/web", "--type=json", "-p", json.dumps(sidecar))
    api_server.kubectl("-n", namespace, "annotate", "deployment/web", "theirs=1")

    found = provider.read(made)

    assert found is not None
    assert found.inputs == made.inputs


def test_nothing_is_returned_when_the_object_is_gone(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    made = provider.create(config_map(namespace))
    api_server.kubectl("-n", namespace, "delete", "configmap", "settings")

    assert provider.read(made) is None


def test_nothing_is_returned_when_the_kind_is_gone(provider: Verbs) -> None:
    gone = Resource(urn_of("kubernetes:example.org/v1:Gone", "x"), "kubernetes:example.org/v1:Gone", "n/x", {}, {})

    assert provider.read(gone) is None


def test_all_that_was_declared_is_read_when_imported(provider: Verbs, api_server: ControlPlane, namespace: str) -> None:
    api_server.kubectl("-n", namespace, "create", "secret", "generic", "creds", "--from-literal=a=theirs")
    token = "kubernetes:core/v1:Secret"

    found = provider.read(Resource(urn_of(token, "creds"), token, f"{namespace}/creds", {}, {}))

    assert found is not None
    assert found.inputs["metadata"] == {"name": "creds", "namespace": namespace}
    assert isinstance(found.inputs["data"], Secret)
    assert isinstance(found.outputs["data"], Secret)


def test_an_unhealthy_object_is_reported_when_read(provider: Verbs, namespace: str) -> None:
    with pytest.raises(InitFailedError):
        provider.create(service(namespace, selector={"app": "web"}), timeout_seconds=0.2)
    inputs = service(namespace, selector={"app": "web"})
    token = token_of(inputs)

    with pytest.raises(InitFailedError) as caught:
        provider.read(Resource(urn_of(token, "it"), token, f"{namespace}/web", inputs, {}))

    assert caught.value.inputs == inputs


def test_an_id_that_is_none_is_refused_when_read(provider: Verbs) -> None:
    token = "kubernetes:core/v1:Secret"

    with pytest.raises(RefusedError, match="resource ID 'a/b/c': allowed is NAME or NAMESPACE/NAME"):
        provider.read(Resource(urn_of(token, "x"), token, "a/b/c", {}, {}))
