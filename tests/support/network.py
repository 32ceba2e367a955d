"""Says which pod may reach which, as a cluster's network plugin reads the declared network policies.

Only what this repository declares is understood: selectors by labels, peers that are pods, ports by number. Anything
else is an error, so that nothing is taken for closed that is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.recording_monitor import Graph

_SELECTOR_KEYS = {"matchLabels", "matchExpressions"}
_PEER_KEYS = {"podSelector", "namespaceSelector"}
NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod, as far as policies see it."""

    namespace: str
    labels: Mapping[str, str]


class Network:
    """All network policies and namespaces of a graph, and policies that somebody else has added."""

    def __init__(self, graph: Graph, added: Sequence[Mapping[str, Any]] = ()) -> None:
        self._policies = [*(item.manifest for item in graph.of_kind("NetworkPolicy")), *added]
        self._namespaces: dict[str, dict[str, str]] = {
            item.object_name: dict(item.manifest["metadata"]["labels"]) for item in graph.of_kind("Namespace")
        }

    def lets(self, client: Pod, server: Pod, port: int) -> bool:
        """Say whether a connection over TCP is let out at one end and in at the other."""
        return self._allows("Egress", client, server, port) and self._allows("Ingress", server, client, port)

    def _allows(self, direction: str, pod: Pod, other: Pod, port: int) -> bool:
        field, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        chosen = [
            policy["spec"]
            for policy in self._policies
            if policy["metadata"]["namespace"] == pod.namespace
            and direction in policy["spec"]["policyTypes"]
            and _selects(policy["spec"]["podSelector"], pod.labels)
        ]
        if not chosen:
            return True
        return any(
            _has_port(rule.get("ports"), port) and self._has_peer(rule.get(side), other, pod.namespace)
            for spec in chosen
            for rule in spec.get(field, [])
        )

    def _has_peer(self, peers: Sequence[Mapping[str, Any]] | None, other: Pod, home: str) -> bool:
        if not peers:
            return True
        return any(self._is_peer(peer, other, home) for peer in peers)

    def _is_peer(self, peer: Mapping[str, Any], other: Pod, home: str) -> bool:
        if "ipBlock" in peer:
            # Addresses outside the cluster: no pod has one.
            return False
        assert set(peer) <= _PEER_KEYS, peer
        where = peer.get("namespaceSelector")
        labels = {**self._namespaces.get(other.namespace, {}), NAMESPACE_NAME: other.namespace}
        there = other.namespace == home if where is None else _selects(where, labels)
        return there and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= _SELECTOR_KEYS, selector
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    expressions = selector.get("matchExpressions", [])
    assert all(item["operator"] == "Exists" for item in expressions), expressions
    return all(item["key"] in labels for item in expressions)


def _has_port(ports: Sequence[Mapping[str, Any]] | None, port: int) -> bool:
    if not ports:
        return True
    return any(item["port"] == port and item.get("protocol", "TCP") == "TCP" for item in ports)
