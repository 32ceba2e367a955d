"""Finds the URL of an object: which kinds the API server knows, under which name, and whether they are namespaced."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from local.provider import objects
from local.provider.kubeclient import KubeClient
from local.provider.values import Object, as_list, as_object, pluck

_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class UnknownKindError(Exception):
    """The API server does not know a kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(
            f"the API server knows no kind {kind!r} in apiVersion {api_version!r}: is its "
            "CustomResourceDefinition installed and spelt like this?"
        )


@dataclass(frozen=True)
class Mapping:
    """How one kind appears in URLs."""

    api_version: str
    plural: str
    is_namespaced: bool

    def collection(self, namespace: str) -> str:
        """Return the path of all objects of this kind, in one namespace if the kind has namespaces."""
        base = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace or objects.DEFAULT_NAMESPACE}" if self.is_namespaced else ""
        return f"{base}{scope}/{self.plural}"

    def path(self, obj: Object) -> str:
        """Return the path of an object."""
        return f"{self.collection(objects.namespace(obj))}/{objects.name(obj)}"


class Discovery:
    """Knows every kind of one API server; asks again once when it meets a new one."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._mappings: dict[tuple[str, str], Mapping] = {}

    def mapping(self, api_version: str, kind: str) -> Mapping:
        """Return how a kind is addressed.

        Raises:
            UnknownKindError: the server does not know it, asked just now.
        """
        found = self._mappings.get((api_version, kind))
        if found is None:
            with self._lock:
                found = self._mappings.get((api_version, kind))
                if found is None:
                    self._mappings = self._fetch()
                    found = self._mappings.get((api_version, kind))
        if found is None:
            raise UnknownKindError(api_version, kind)
        return found

    def mapping_of(self, obj: Object) -> Mapping:
        """Return how the kind of `obj` is addressed."""
        return self.mapping(objects.api_version(obj), objects.kind(obj))

    def _fetch(self) -> dict[tuple[str, str], Mapping]:
        mappings: dict[tuple[str, str], Mapping] = {}
        for root in ("/api", "/apis"):
            for group in as_list(self._client.get(root, accept=_AGGREGATED).get("items")):
                group_name = str(pluck(group, "metadata", "name") or "")
                for version in as_list(as_object(group).get("versions")):
                    api_version = "/".join(part for part in (group_name, str(pluck(version, "version"))) if part)
                    mappings |= _mappings_of(api_version, as_object(version))
        return mappings


def _mappings_of(api_version: str, version: Object) -> dict[tuple[str, str], Mapping]:
    found: dict[tuple[str, str], Mapping] = {}
    for resource in as_list(version.get("resources")):
        kind = str(pluck(resource, "responseKind", "kind"))
        is_namespaced = pluck(resource, "scope") == "Namespaced"
        found[api_version, kind] = Mapping(api_version, str(pluck(resource, "resource")), is_namespaced)
    return found
