"""Starting and configuring the provider, over the protocol and against a real API server; without the engine."""

from __future__ import annotations

import json

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from local.provider import objects
from local.provider.marshal import encode
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.verbs import RefusedError, Verbs, verbs


def test_the_stand_in_says_what_it_is_when_asked(provider: Verbs) -> None:
    info = provider.stub.GetPluginInfo(empty_pb2.Empty())
    schema = json.loads(provider.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)

    assert info.version.endswith("+mlplatform.stand-in")
    assert "not the official plugin" in schema["description"]


def test_secrets_are_accepted_when_shaking_hands(provider: Verbs) -> None:
    answer = provider.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))

    assert answer.accept_secrets
    assert answer.supports_autonaming_configuration


def test_a_cluster_is_refused_when_it_has_no_marker(api_server: ControlPlane) -> None:
    api_server.kubectl("-n", "kube-system", "delete", "configmap", "mlplatform-embedded")
    try:
        with verbs() as calls, pytest.raises(RefusedError, match="is not an embedded mlplatform cluster"):
            calls.configure(kubeconfig=str(api_server.kubeconfig))
    finally:
        api_server.mark("provider-tests")


def test_a_cluster_is_refused_when_it_does_not_let_us_look(api_server: ControlPlane) -> None:
    config = json.loads(api_server.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": "nobody"}
    with verbs() as calls, pytest.raises(RefusedError, match="does not show its marker"):
        calls.configure(kubeconfig=json.dumps(config))


def test_bad_configuration_is_named_when_checked(provider: Verbs) -> None:
    request = provider_pb2.CheckRequest(news=encode({"kubeconfig": "x", "renderYamlToDirectory": "y"}))

    answer = provider.stub.CheckConfig(request)

    assert [failure.property for failure in answer.failures] == ["renderYamlToDirectory"]


def test_the_provider_is_replaced_when_its_identifier_changes(provider: Verbs) -> None:
    old, new = {"clusterIdentifier": "a", "namespace": "x"}, {"clusterIdentifier": "b", "namespace": "x"}

    answer = provider.stub.DiffConfig(provider_pb2.DiffRequest(old_inputs=encode(old), news=encode(new)))

    assert list(answer.replaces) == ["clusterIdentifier"]


def test_functions_are_refused_by_name_when_invoked(provider: Verbs) -> None:
    with pytest.raises(Exception, match="kubernetes:yaml:decode: the stand-in has no functions"):
        provider.stub.Invoke(provider_pb2.InvokeRequest(tok="kubernetes:yaml:decode"))


def test_the_namespace_of_the_configuration_is_used_when_a_kind_has_namespaces(api_server: ControlPlane) -> None:
    with verbs() as calls:
        calls.configure(kubeconfig=str(api_server.kubeconfig), namespace="team")
        config_map = calls.check({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
        namespace = calls.check({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})

    assert objects.namespace(config_map) == "team"
    assert objects.namespace(namespace) == ""


def test_charts_are_refused_when_checked(provider: Verbs) -> None:
    with pytest.raises(RefusedError, match="no charts"):
        provider.check({"apiVersion": "helm.sh/v3", "kind": "Release", "metadata": {}})
