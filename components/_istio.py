"""Builders of the Istio objects that the platform declares; tests hold each against Istio's own schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from ml.contracts import GATEWAY_PORT, GATEWAY_TLS_PORT

_NETWORKING = "networking.istio.io/v1"
_ENVOY_FILTERS = "networking.istio.io/v1alpha3"


def gateway(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    selector: Mapping[str, str],
    hosts: Sequence[str],
    certificate: pulumi.Input[str] | None = None,
) -> pulumi.Output[str]:
    """Declare which hosts the selected gateway pods answer to; only routes of its own namespace may use them.

    With a `certificate`, which is the name of a Secret beside those pods, they answer with TLS and redirect everything
    else to it.
    """
    own = [f"./{host}" for host in hosts]
    plain: dict[str, Any] = {"port": {"number": GATEWAY_PORT, "name": "http", "protocol": "HTTP"}, "hosts": own}
    servers = [plain]
    if certificate is not None:
        plain["tls"] = {"httpsRedirect": True}
        tls = {"mode": "SIMPLE", "credentialName": certificate, "minProtocolVersion": "TLSV1_2"}
        port = {"number": GATEWAY_TLS_PORT, "name": "https", "protocol": "HTTPS"}
        servers.append({"port": port, "hosts": own, "tls": tls})
    return _custom(component, name, _NETWORKING, "Gateway", metadata, {"selector": dict(selector), "servers": servers})


def service_route(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    host: str,
    gateway: pulumi.Input[str],
    service: pulumi.Input[str],
    port: int,
    prefix: str | None = None,
    dropped_headers: Sequence[str] = (),
    answer_headers: Mapping[str, str] | None = None,
) -> pulumi.Output[str]:
    """Declare that all requests for a host, or those below a path, go to one service.

    Requests lose the headers to drop, answers get the others.
    """
    http: dict[str, Any] = {"name": "all", "route": [{"destination": {"host": service, "port": {"number": port}}}]}
    if prefix is not None:
        http["match"] = [{"uri": {"prefix": prefix}}]
    headers: dict[str, Any] = {}
    if dropped_headers:
        headers["request"] = {"remove": list(dropped_headers)}
    if answer_headers:
        headers["response"] = {"set": dict(answer_headers)}
    if headers:
        http["headers"] = headers
    spec = {"hosts": [host], "gateways": [gateway], "http": [http]}
    return _custom(component, name, _NETWORKING, "VirtualService", metadata, spec)


def delegating_route(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    host: str,
    gateway: pulumi.Input[str],
    route: str,
    matches: Sequence[Mapping[str, Any]],
    delegate: str,
    namespace: pulumi.Input[str],
) -> pulumi.Output[str]:
    """Declare that matching requests for a host are routed by another VirtualService, which somebody else owns."""
    http = {
        "name": route,
        "match": [dict(match) for match in matches],
        "delegate": {"name": delegate, "namespace": namespace},
    }
    spec = {"hosts": [host], "gateways": [gateway], "http": [http]}
    return _custom(component, name, _NETWORKING, "VirtualService", metadata, spec)


def subsets(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    host: pulumi.Input[str],
    labels_by_subset: Mapping[str, Mapping[str, str]],
) -> pulumi.Output[str]:
    """Declare the subsets of a service's pods."""
    spec = {
        "host": host,
        "subsets": [{"name": subset, "labels": dict(labels)} for subset, labels in labels_by_subset.items()],
    }
    return _custom(component, name, _NETWORKING, "DestinationRule", metadata, spec)


def route_patches(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    selector: Mapping[str, str],
    virtual_host: str,
    values_by_route: Mapping[str, Mapping[str, Any]],
) -> pulumi.Output[str]:
    """Declare what is merged into routes of the selected gateway pods, in Envoy's own terms."""
    patches = [
        {
            "applyTo": "HTTP_ROUTE",
            "match": {
                "context": "GATEWAY",
                "routeConfiguration": {"vhost": {"name": virtual_host, "route": {"name": route, "action": "ROUTE"}}},
            },
            "patch": {"operation": "MERGE", "value": dict(value)},
        }
        for route, value in values_by_route.items()
    ]
    spec = {"workloadSelector": {"labels": dict(selector)}, "configPatches": patches}
    return _custom(component, name, _ENVOY_FILTERS, "EnvoyFilter", metadata, spec)


def _custom(
    component: PlatformComponent,
    name: str,
    api_version: str,
    kind: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    spec: Mapping[str, Any],
) -> pulumi.Output[str]:
    """Return the object's name; what takes it from here comes after the object."""
    resource = k8s.apiextensions.CustomResource(
        name, api_version=api_version, kind=kind, metadata=metadata, spec=dict(spec), opts=component.child()
    )
    return pulumi.Output.all(resource.urn, metadata.name).apply(lambda known: str(known[1]))
