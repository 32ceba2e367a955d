"""Who reaches whom where a cluster enforces the network policies of a graph."""

from __future__ import annotations

from typing import Any

from tests.support import pods
from tests.support.recording_monitor import Graph


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector fits; of expressions only `Exists` is used."""
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "Exists"
        if expression["key"] not in labels:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def reaches(graph: Graph, client: tuple[str, dict[str, str]], server: tuple[str, dict[str, str]], port: int) -> bool:
    """Tell whether the policies of both ends let a pod call another; a pod is its namespace and labels."""
    return _allows(graph, "egress", client, server, port) and admits(graph, client, server, port)


def admits(graph: Graph, client: tuple[str, dict[str, str]], server: tuple[str, dict[str, str]], port: int) -> bool:
    """Tell whether the policies of the server let the client in; those of the client may be unknown."""
    return _allows(graph, "ingress", server, client, port)


def _allows(
    graph: Graph, direction: str, near: tuple[str, dict[str, str]], far: tuple[str, dict[str, str]], port: int
) -> bool:
    peers = {"egress": "to", "ingress": "from"}[direction]
    return any(
        matches(policy["podSelector"], near[1])
        and any(
            (not rule.get(peers) or any(is_peer(peer, far, near[0]) for peer in rule[peers]))
            and port in {entry["port"] for entry in rule["ports"]}
            for rule in policy.get(direction, [])
        )
        for policy in policies_in(graph, near[0])
    )


def is_peer(peer: dict[str, Any], far: tuple[str, dict[str, str]], own_namespace: str) -> bool:
    """Tell whether a peer of a policy in `own_namespace` is this pod."""
    named = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", own_namespace)
    return named == far[0] and matches(peer["podSelector"], far[1])


def policies_in(graph: Graph, namespace: str) -> list[dict[str, Any]]:
    """Return what the policies of a namespace say."""
    return [
        item.manifest["spec"]
        for item in graph.of_kind("NetworkPolicy")
        if item.manifest["metadata"]["namespace"] == namespace
    ]


def pod(graph: Graph, name: str) -> tuple[str, dict[str, str]]:
    """Return the pods of a workload: their namespace and their labels."""
    (item,) = [item for item in pods.workloads(graph) if item.object_name == name]
    return str(item.manifest["metadata"]["namespace"]), pods.template_of(item)["metadata"]["labels"]
