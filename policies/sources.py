"""Resources from manifests, from a preview, and from lines of JSON as `policies.render` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from policies import _kinds
from policies._model import Resource
from policies._paths import UNKNOWN

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 the engine's mark of secret values, itself none
_UNKNOWN_MARKS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
    }
)
"""How the engine writes values of each type that are not known yet."""


def plain(value: Any) -> Any:
    """Return a value of the engine with secrets opened, unknown values marked, and whole numbers as integers."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWN_MARKS else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        table = cast("Mapping[str, Any]", value)
        if table.get(_SIGNATURE) == _SECRET:
            return plain(table.get("value"))
        return {str(key): plain(item) for key, item in table.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    return value


def from_manifest(manifest: Mapping[str, Any], *, urn: str = "", protected: bool | None = None) -> Resource:
    """Return the resource that a Kubernetes manifest describes."""
    properties = cast("dict[str, Any]", plain(manifest))
    raw = properties.get("metadata")
    metadata = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    kind = _kinds.of_manifest(str(properties.get("apiVersion", "")), str(properties.get("kind", "")))
    name, namespace = (metadata.get(key) for key in ("name", "namespace"))
    return Resource(
        kind=kind,
        name=name if isinstance(name, str) else urn.rpartition("::")[2],
        namespace=namespace if isinstance(namespace, str) else "",
        properties=properties,
        urn=urn or f"{kind}/{namespace or ''}/{name or ''}",
        protected=protected,
    )


def from_pulumi(token: str, name: str, inputs: Mapping[str, Any], *, urn: str, protected: bool) -> Resource | None:
    """Return the resource that a preview describes; None for components and providers, which hold nothing to judge."""
    if token.startswith("kubernetes:") and not token.startswith("kubernetes:index:"):
        kind = _kinds.of_token(token)
        group, _, kind_name = kind.rpartition("/")
        version = token.split(":")[1].rpartition("/")[2]
        described = {"apiVersion": version if group == "core" else f"{group}/{version}", "kind": kind_name, **inputs}
        return from_manifest(described, urn=urn, protected=protected)
    if token.startswith("aws:"):
        properties = cast("dict[str, Any]", plain(inputs))
        return Resource(kind=_kinds.of_token(token), name=name, properties=properties, urn=urn, protected=protected)
    return None


def from_lines(text: str) -> list[Resource]:
    """Return the resources that `policies.render` wrote, one per line."""
    found = [cast("dict[str, Any]", json.loads(line)) for line in text.splitlines() if line.strip()]
    read = [
        from_pulumi(item["type"], item["name"], item["inputs"], urn=item["urn"], protected=item["protect"])
        for item in found
    ]
    return [resource for resource in read if resource is not None]
