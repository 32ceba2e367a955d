"""What really lies in a cluster, as resources that the rules can judge."""

from __future__ import annotations

from typing import Any, Final, cast

from ml.cli.kubectl import JsonObject, Kubectl
from policies import sources
from policies._kinds import CLUSTER_WIDE, SERVED_AS
from policies._model import Resource

_OWN: Final = "--selector=app.kubernetes.io/part-of=mlplatform"
_HIDDEN: Final = "[secret]"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_NAMESPACE: Final = "core/Namespace"
_TIMEOUT_SECONDS: Final = 60.0
"""For a list of objects of more than thirty kinds, each of which `kubectl` asks for by itself."""


async def read(kubectl: Kubectl, namespace: str) -> list[Resource]:
    """Return what lies in a namespace, the namespace, and what of the platform lies in none.

    Those are the objects that the policies at admission are about. Kinds that the cluster does not know are left out.

    Raises:
        UserError: the cluster does not answer or refuses.
    """
    served = set((await kubectl.run("api-resources", "--verbs=list", "--output=name")).split())
    known = [kind for kind in SERVED_AS if _name(kind) in served]
    inside = [_versioned(kind) for kind in known if kind not in CLUSTER_WIDE]
    outside = [_versioned(kind) for kind in known if kind in CLUSTER_WIDE and kind != _NAMESPACE]
    items = [
        await kubectl.get(namespace, "namespace", namespace),
        *await kubectl.items(namespace, ",".join(inside), timeout_seconds=_TIMEOUT_SECONDS),
        *await kubectl.items(namespace, ",".join(outside), _OWN, timeout_seconds=_TIMEOUT_SECONDS),
    ]
    return [sources.from_manifest(_without_content(item)) for item in items]


def _name(kind: str) -> str:
    group, _, _ = kind.rpartition("/")
    plural = SERVED_AS[kind][1]
    return plural if group == "core" else f"{plural}.{group}"


def _versioned(kind: str) -> str:
    group, _, _ = kind.rpartition("/")
    version, plural = SERVED_AS[kind]
    return plural if group == "core" else f"{plural}.{version}.{group}"


def _without_content(item: JsonObject) -> JsonObject:
    """Return an object as it is, a Secret without what it holds: no rule needs that."""
    if item.get("kind") != "Secret":
        return item
    metadata = cast("dict[str, Any]", item.get("metadata") or {})
    annotations = cast("dict[str, Any]", metadata.get("annotations") or {})
    kept = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    data = cast("dict[str, Any]", item.get("data") or {})
    return {**item, "metadata": {**metadata, "annotations": kept}, "data": dict.fromkeys(data, _HIDDEN)}
