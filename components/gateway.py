"""The way in: the hosts that the ingress gateway answers to, and the routes of those that are one service each.

The gateway's own pods belong to the mesh. Models are routed by TrafficSplit. Where the gateway ends TLS, cert-manager
keeps the certificate of all hosts in a Secret beside its pods, for the gateway reads Secrets nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import _istio
from components._base import PlatformComponent
from components._certificates import CertificateIssuer, certificate
from components._labels import object_labels
from components._network import GatewayPeer

_NAME = "gateway"


@dataclass(frozen=True, kw_only=True)
class HostRoute:
    """A host whose requests all go to one service, or those below a path."""

    role: str
    """Word that tells this route from the others."""
    host: str
    service: pulumi.Input[str]
    port: int
    prefix: str | None = None
    """Start of the paths that are public; None makes all of them so."""
    dropped_headers: tuple[str, ...] = ()
    """What callers say in these does not reach the service."""


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """What the gateway's configuration needs to know."""

    namespace: pulumi.Input[str]
    pods: GatewayPeer
    hosts: tuple[str, ...]
    """Every host it answers to."""
    routes: tuple[HostRoute, ...]
    issuer: CertificateIssuer | None = None
    """Who signs the certificate with which the gateway ends TLS; None leaves it plain."""
    strict_seconds: int = 0
    """How long browsers are told to use nothing but TLS; 0 tells them nothing."""


class Gateway(PlatformComponent):
    """Hosts and whole-host routes of the ingress gateway."""

    gateway: pulumi.Output[str]
    """Name of the Gateway object, which routes refer to."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        labels = object_labels(_NAME, name)
        self.gateway = _istio.gateway(
            self,
            name,
            k8s.meta.v1.ObjectMetaArgs(name=name, namespace=args.namespace, labels=labels),
            selector=args.pods.selector,
            hosts=args.hosts,
            certificate=self._create_certificate(name, args, labels),
        )
        strict = f"max-age={args.strict_seconds}"
        for route in args.routes:
            _istio.service_route(
                self,
                f"{name}-{route.role}",
                k8s.meta.v1.ObjectMetaArgs(name=f"{name}-{route.role}", namespace=args.namespace, labels=labels),
                host=route.host,
                gateway=self.gateway,
                service=route.service,
                port=route.port,
                prefix=route.prefix,
                dropped_headers=route.dropped_headers,
                answer_headers={"strict-transport-security": strict} if args.strict_seconds else None,
            )
        self.finish(gateway=self.gateway)

    def _create_certificate(self, name: str, args: GatewayArgs, labels: dict[str, str]) -> pulumi.Output[str] | None:
        if args.issuer is None:
            return None
        # The gateway's namespace may hold those of several platforms.
        secret = pulumi.Output.concat(args.namespace, "-", name, "-tls")
        return certificate(
            self,
            f"{name}-tls",
            k8s.meta.v1.ObjectMetaArgs(name=secret, namespace=args.pods.namespace, labels=labels),
            issuer=args.issuer,
            hosts=args.hosts,
        )
