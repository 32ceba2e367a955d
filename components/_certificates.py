"""Builds certificates that cert-manager obtains and renews; tests hold them against its own schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent


@dataclass(frozen=True, kw_only=True)
class CertificateIssuer:
    """An Issuer or ClusterIssuer of cert-manager, which whoever runs the cluster has made."""

    name: str
    kind: str


def certificate(
    component: PlatformComponent,
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    *,
    issuer: CertificateIssuer,
    hosts: Sequence[str],
) -> pulumi.Output[str]:
    """Declare a certificate for these hosts; return the name of its Secret, which is the object's own."""
    spec = {
        "secretName": metadata.name,
        "dnsNames": list(hosts),
        "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind, "name": issuer.name},
        # Each renewal takes a new key, so that one that leaked is worth nothing after it.
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", "server auth"],
    }
    resource = k8s.apiextensions.CustomResource(
        name,
        api_version="cert-manager.io/v1",
        kind="Certificate",
        metadata=metadata,
        spec=spec,
        opts=component.child(),
    )
    return pulumi.Output.all(resource.urn, metadata.name).apply(lambda known: str(known[1]))
