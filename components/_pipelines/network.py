"""Network policies about the pods of runs, and about what lies in other namespaces.

The pods of runs are made by the workflow controller and not declared here; they are known by the label that it gives
to all of them. Among the declared servers the access labels of `components._network` decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi_kubernetes as k8s

from components._network import ServicePeer
from components._pipelines.site import STEP_LABEL

_KUBERNETES_PORTS: Final = (443, 6443)
_NAMESPACE_NAME_LABEL: Final = "kubernetes.io/metadata.name"


def steps() -> k8s.meta.v1.LabelSelectorArgs:
    """Select the pods of all runs."""
    exists = k8s.meta.v1.LabelSelectorRequirementArgs(key=STEP_LABEL, operator="Exists")
    return k8s.meta.v1.LabelSelectorArgs(match_expressions=[exists])


def pods(labels: Mapping[str, str]) -> k8s.meta.v1.LabelSelectorArgs:
    """Select pods by their labels."""
    return k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels))


def steps_call_kubernetes() -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Let steps call the Kubernetes API, where they report their results."""
    return _sends(steps(), k8s.networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp(_KUBERNETES_PORTS)))


def steps_call(server: Mapping[str, str], ports: Sequence[int]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Let steps call a server of their namespace."""
    peer = k8s.networking.v1.NetworkPolicyPeerArgs(pod_selector=pods(server))
    return _sends(steps(), k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=[peer], ports=_tcp(ports)))


def called_by_steps(server: Mapping[str, str], ports: Sequence[int]) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Let a server of their namespace be called by steps."""
    peer = k8s.networking.v1.NetworkPolicyPeerArgs(pod_selector=steps())
    return _receives(pods(server), [peer], ports)


def calls_abroad(client: k8s.meta.v1.LabelSelectorArgs, server: ServicePeer) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Let pods call a service in another namespace."""
    peer = _abroad(server.namespace, pods(server.selector))
    return _sends(client, k8s.networking.v1.NetworkPolicyEgressRuleArgs(to=[peer], ports=_tcp([server.port])))


def called_from_abroad(
    server: Mapping[str, str],
    ports: Sequence[int],
    *,
    clients: Sequence[k8s.meta.v1.LabelSelectorArgs],
    namespace: str,
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    """Let pods be called from another namespace."""
    return _receives(pods(server), [_abroad(namespace, client) for client in clients], ports)


def _abroad(namespace: str, selector: k8s.meta.v1.LabelSelectorArgs) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    return k8s.networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=pods({_NAMESPACE_NAME_LABEL: namespace}), pod_selector=selector
    )


def _sends(
    client: k8s.meta.v1.LabelSelectorArgs, rule: k8s.networking.v1.NetworkPolicyEgressRuleArgs
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    return k8s.networking.v1.NetworkPolicySpecArgs(pod_selector=client, policy_types=["Egress"], egress=[rule])


def _receives(
    server: k8s.meta.v1.LabelSelectorArgs,
    peers: Sequence[k8s.networking.v1.NetworkPolicyPeerArgs],
    ports: Sequence[int],
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    rule = k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=list(peers), ports=_tcp(ports))
    return k8s.networking.v1.NetworkPolicySpecArgs(pod_selector=server, policy_types=["Ingress"], ingress=[rule])


def _tcp(ports: Sequence[int]) -> list[k8s.networking.v1.NetworkPolicyPortArgs]:
    return [k8s.networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
