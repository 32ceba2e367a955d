"""The mesh of the embedded cluster: the real istiod and an upstream Envoy as ingress gateway.

In `dev` and up Istio's own charts install both; the stack only ever writes Gateway, VirtualService, DestinationRule
and EnvoyFilter objects, which mean the same here and there.
"""

from local.mesh.manifests import render

__all__ = ["render"]
