"""Builders of network policies: a namespace denies everything, each component opens exactly what it offers.

A client does not name its servers; it carries the access label of each service it may use (ml.contracts.access_label).
The service owns both halves of the permission: what may come in to it, and what its clients may send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from ml.contracts import access_label

_NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
_IDENTITY_CIDR = "169.254.170.23/32"
"""Where EKS answers pods that ask for their role; the same address in every cluster."""


@dataclass(frozen=True, kw_only=True)
class GatewayPeer:
    """Pods of another namespace that come from there: those of the ingress gateway, and whoever else has to."""

    namespace: str
    selector: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ServicePeer:
    """A service in another namespace, and the pods behind it."""

    service: str
    namespace: str
    selector: Mapping[str, str]
    port: int


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A port that is called, and as much as is known of where: all of the world if nothing is."""

    port: int
    namespace: str | None = None
    pods: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of the pods there; without one it is every pod of the namespace."""
    cidr: str | None = None
    """Where it is no pod."""


def network_policy(
    component: PlatformComponent,
    name: str,
    spec: k8s.networking.v1.NetworkPolicySpecArgs,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
) -> None:
    """Declare a policy as a child of a component."""
    k8s.networking.v1.NetworkPolicy(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(namespace=namespace, labels=dict(labels)),
        spec=spec,
        opts=component.child(),
    )


def offer_service(
    component: PlatformComponent,
    name: str,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    ports: Sequence[int],
    gateways: Sequence[GatewayPeer | None] = (),
    gateway_ports: Sequence[int] = (),
) -> None:
    """Let the clients of service `name` reach the selected pods on `ports`, and pods elsewhere on `gateway_ports`.

    Those are the gateways that there are; None stands for one that there is not.
    """
    client = _pods(access_label(name))
    ingress = [k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=[client], ports=_tcp(ports))]
    for gateway in gateways:
        if gateway is not None:
            peer = _pods(gateway.selector, namespace=gateway.namespace)
            ingress.append(k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=[peer], ports=_tcp(gateway_ports)))
    offered = k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector), policy_types=["Ingress"], ingress=ingress
    )
    network_policy(component, f"{name}-offer", offered, namespace=namespace, labels=labels)
    reached = _reaching(name, [_pods(selector)], ports)
    network_policy(component, f"{name}-access", reached, namespace=namespace, labels=labels)


def reach_outside(
    component: PlatformComponent,
    name: str,
    *,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    cidrs: Sequence[str],
    ports: Sequence[int],
) -> None:
    """Let the clients of service `name` reach it on `ports` where it has addresses instead of pods."""
    blocks = [
        k8s.networking.v1.NetworkPolicyPeerArgs(ip_block=k8s.networking.v1.IPBlockArgs(cidr=cidr)) for cidr in cidrs
    ]
    network_policy(component, f"{name}-access", _reaching(name, blocks, ports), namespace=namespace, labels=labels)


def _reaching(
    service: str, to: Sequence[k8s.networking.v1.NetworkPolicyPeerArgs], ports: Sequence[int]
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(access_label(service)),
        policy_types=["Egress"],
        egress=[k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=list(to), ports=_tcp(ports))],
    )


def deny_all() -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which no pod of the namespace may send or receive anything."""
    return k8s.networking.v1.NetworkPolicySpecArgs(pod_selector=_select({}), policy_types=["Ingress", "Egress"])


def allow_dns(port: int = 53) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which every pod of the namespace may ask the cluster's DNS."""
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select({}),
        policy_types=["Egress"],
        egress=[
            k8s.networking.v1.NetworkPolicyEgressRuleArgs(
                to=[_pods({"k8s-app": "kube-dns"}, namespace="kube-system")],
                ports=[
                    k8s.networking.v1.NetworkPolicyPortArgs(port=port, protocol=protocol) for protocol in ("UDP", "TCP")
                ],
            )
        ],
    )


def allow_kubernetes_api(selector: Mapping[str, str]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call the Kubernetes API.

    The API server is no pod, so its port has to stand for it: 443 at its Service, 6443 behind it.
    """
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Egress"],
        egress=[k8s.networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp([443, 6443]))],
    )


def allow_https(selector: Mapping[str, str]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call HTTPS servers anywhere."""
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Egress"],
        egress=[k8s.networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp([443]))],
    )


def allow_cloud(selector: Mapping[str, str]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call services of the cloud, and ask who they are there.

    Those services have no fixed addresses, so their port has to stand for them; the one that tells a pod its role has
    an address on every node.
    """
    identity = k8s.networking.v1.NetworkPolicyPeerArgs(ip_block=k8s.networking.v1.IPBlockArgs(cidr=_IDENTITY_CIDR))
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Egress"],
        egress=[
            k8s.networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp([443])),
            k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=[identity], ports=_tcp([80])),
        ],
    )


def allow_to_pods(
    selector: Mapping[str, str], pods: Mapping[str, str], ports: Sequence[int], *, namespace: str | None = None
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call others, in their own or another namespace."""
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Egress"],
        egress=[
            k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=[_pods(pods, namespace=namespace)], ports=_tcp(ports))
        ],
    )


def allow_to_destinations(
    selector: Mapping[str, str], destinations: Sequence[Destination]
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call each of these, on its port alone."""
    different = [item for index, item in enumerate(destinations) if item not in destinations[:index]]
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Egress"],
        egress=[
            k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=_known(item), ports=_tcp([item.port]))
            for item in different
        ],
    )


def allow_from_pods(
    selector: Mapping[str, str], pods: Mapping[str, str], ports: Sequence[int], *, namespace: str | None = None
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may be called by others, of their own or another namespace."""
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Ingress"],
        ingress=[
            k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=[_pods(pods, namespace=namespace)], ports=_tcp(ports))
        ],
    )


def allow_among(selector: Mapping[str, str]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy under which the selected pods may call each other, on every port."""
    peers = [_pods(selector)]
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(selector),
        policy_types=["Ingress", "Egress"],
        ingress=[k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=peers)],
        egress=[k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=peers)],
    )


def allow_from_abroad(
    server: ServicePeer, clients: Mapping[str, str], *, namespace: str
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Return a policy, for the server's namespace, under which pods of another namespace may call it."""
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=_select(server.selector),
        policy_types=["Ingress"],
        ingress=[
            k8s.networking.v1.NetworkPolicyIngressRuleArgs(
                from_=[_pods(clients, namespace=namespace)], ports=_tcp([server.port])
            )
        ],
    )


def _select(labels: Mapping[str, str]) -> k8s.meta.v1.LabelSelectorArgs:
    return k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels) or None)


def _pods(labels: Mapping[str, str], *, namespace: str | None = None) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    return k8s.networking.v1.NetworkPolicyPeerArgs(
        pod_selector=_select(labels),
        namespace_selector=_select({_NAMESPACE_NAME_LABEL: namespace}) if namespace is not None else None,
    )


def _known(destination: Destination) -> list[k8s.networking.v1.NetworkPolicyPeerArgs] | None:
    if destination.cidr is not None:
        block = k8s.networking.v1.IPBlockArgs(cidr=destination.cidr)
        return [k8s.networking.v1.NetworkPolicyPeerArgs(ip_block=block)]
    if destination.namespace is not None:
        return [_pods(destination.pods, namespace=destination.namespace)]
    return None


def _tcp(ports: Sequence[int]) -> list[k8s.networking.v1.NetworkPolicyPortArgs]:
    return [k8s.networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
