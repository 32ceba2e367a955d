"""Hosts and whole-host routes."""

from __future__ import annotations

from components._certificates import CertificateIssuer
from components.gateway import Gateway
from tests.support.catalogue import declare_one


def test_gateway_answers_to_its_hosts_only_for_its_own_namespace_when_declared() -> None:
    graph = declare_one(Gateway, instance="way-in")
    spec = graph.object("Gateway", "way-in").manifest["spec"]
    assert spec["selector"] == {"istio": "ingressgateway"}
    (server,) = spec["servers"]
    assert server["port"] == {"number": 80, "name": "http", "protocol": "HTTP"}
    assert server["hosts"] == ["./mlflow.example.org", "./api.example.org"]


def test_host_goes_to_its_service_when_it_has_a_route() -> None:
    graph = declare_one(Gateway, instance="way-in")
    (route,) = graph.of_kind("VirtualService")
    assert route.object_name == "way-in-mlflow"
    assert route.manifest["spec"] == {
        "hosts": ["mlflow.example.org"],
        "gateways": ["way-in"],
        "http": [
            {"name": "all", "route": [{"destination": {"host": "tracking-server", "port": {"number": 5000}}}]},
        ],
    }


def test_route_comes_after_the_gateway_when_declared() -> None:
    graph = declare_one(Gateway, instance="way-in")
    assert graph.object("Gateway", "way-in").urn in graph.object("VirtualService", "way-in-mlflow").depends_on


def test_gateway_redirects_to_tls_and_waits_for_its_certificate_when_it_has_an_issuer() -> None:
    graph = declare_one(Gateway, instance="way-in", issuer=CertificateIssuer(name="public", kind="Issuer"))
    plain, secure = graph.object("Gateway", "way-in").manifest["spec"]["servers"]
    assert plain["tls"] == {"httpsRedirect": True}
    assert (secure["port"]["number"], secure["tls"]["credentialName"]) == (443, "way-in-way-in-tls")
    certificate = graph.object("Certificate", "way-in-tls")
    assert certificate.manifest["metadata"]["namespace"] == "istio-system"
    assert certificate.manifest["spec"]["privateKey"]["rotationPolicy"] == "Always"
    assert certificate.urn in graph.object("Gateway", "way-in").depends_on


def test_answers_name_tls_as_the_only_way_when_the_stack_says_for_how_long() -> None:
    graph = declare_one(Gateway, instance="way-in", strict_seconds=60)
    (http,) = graph.object("VirtualService", "way-in-mlflow").manifest["spec"]["http"]
    assert http["headers"] == {"response": {"set": {"strict-transport-security": "max-age=60"}}}
