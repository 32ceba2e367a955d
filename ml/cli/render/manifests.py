"""The Kubernetes objects of a stack as YAML, in the order of their names. Contents of Secrets are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import yaml

from ml.cli.render.graph import Declared, Rendered

_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SHOWN: Final = "(known after the update)"


def manifests(rendered: Rendered) -> str:
    """Return all objects, one document each."""
    objects = sorted((item for item in rendered.made() if item.is_object), key=_order)
    return "".join(f"---\n# {item.key}\n{_dump(_usual_order(shown(item.inputs)))}" for item in objects)


def shown(value: Any) -> Any:
    """Return a value with words in place of what is not known yet."""
    if value == _UNKNOWN:
        return _SHOWN
    if isinstance(value, Mapping):
        return {key: shown(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [shown(item) for item in cast("list[Any]", value)]
    return value


def _order(item: Declared) -> tuple[str, str, str]:
    metadata = item.inputs.get("metadata", {})
    return item.kind, str(metadata.get("namespace", "")), str(metadata.get("name", item.name))


def _usual_order(manifest: Mapping[str, Any]) -> dict[str, Any]:
    head = {key: manifest[key] for key in ("apiVersion", "kind", "metadata") if key in manifest}
    return {**head, **{key: value for key, value in manifest.items() if key not in head}}


def _dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)
