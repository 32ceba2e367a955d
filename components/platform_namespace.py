"""The namespace that holds the platform: Pod Security "restricted", and no traffic that nobody asked for.

Network policies are enforced by the cluster's network plugin. The embedded node has none that does; there they are
declared and checked, from `dev` up they act.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels
from components._network import allow_dns, deny_all, network_policy

_POD_SECURITY_LEVEL = "restricted"
_POD_SECURITY_MODES = ("enforce", "audit", "warn")


@dataclass(frozen=True, kw_only=True)
class PlatformNamespaceArgs:
    """What distinguishes one platform's namespace from another."""

    namespace: str
    """Name of the namespace."""
    protect: bool
    """Whether Pulumi refuses to delete it; with it would go every volume claim inside."""


class PlatformNamespace(PlatformComponent):
    """A namespace with its security level and its default network policies."""

    namespace: pulumi.Output[str]
    """Name of the namespace; everything inside it takes its namespace from here and so is created after it."""

    def __init__(self, name: str, args: PlatformNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        labels = object_labels("platform-namespace", name)
        security = {f"pod-security.kubernetes.io/{mode}": _POD_SECURITY_LEVEL for mode in _POD_SECURITY_MODES}
        self.resource = k8s.core.v1.Namespace(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=args.namespace, labels={**labels, **security}),
            opts=self.child(protect=args.protect),
        )
        self.namespace = self.resource.metadata.name.apply(str)
        for role, spec in (("deny-all", deny_all()), ("allow-dns", allow_dns())):
            network_policy(self, f"{name}-{role}", spec, namespace=self.namespace, labels=labels)
        self.finish(namespace=self.namespace)
