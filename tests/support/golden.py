"""Golden files: a program's whole graph as sorted JSON, so that a review sees every object that a change touches.

Set UPDATE_GOLDEN=1 to write them anew. Secrets are shown as `[secret]`: no derived password gets into the repository.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from tests.support.recording_monitor import Graph, Recorded, Secret, Unknown

_UPDATE = "UPDATE_GOLDEN"
_UNKNOWN = "[unknown]"


def snapshot(graph: Graph) -> str:
    """Return a graph as text that is equal exactly when the graphs are."""
    prefix = graph.stack_urn.partition("::")[0] + "::"
    resources = {_short(item.urn, prefix): _resource(item, prefix) for item in graph.resources.values()}
    content = {"resources": resources, "outputs": _redact(dict(graph.stack_outputs))}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def compare(text: str, file: Path, *, preview: bool = False) -> None:
    """Fail if `text` differs from the golden file; with UPDATE_GOLDEN=1 write it instead.

    A preview may not know yet what the file holds; it never writes the file.
    """
    if preview:
        known = json.loads(file.read_text(encoding="utf-8"))
        assert _fill_in(json.loads(text), known) == known, f"the preview differs from {file} in what it knows"
        return
    if os.environ.get(_UPDATE) == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.exists(), f"{file} is missing: run with {_UPDATE}=1 and review what it writes"
    assert json.loads(text) == json.loads(file.read_text(encoding="utf-8")), (
        f"the graph differs from {file}: run with {_UPDATE}=1, review the difference and commit it"
    )


def _fill_in(value: Any, known: Any) -> Any:
    """Return `value` with what is not known in it taken from `known`."""
    if value == _UNKNOWN:
        return known
    if isinstance(value, dict) and isinstance(known, dict):
        table, other = cast("dict[str, Any]", value), cast("dict[str, Any]", known)
        return {key: _fill_in(item, other.get(key)) for key, item in table.items()}
    if isinstance(value, list) and isinstance(known, list):
        items, others = cast("list[Any]", value), cast("list[Any]", known)
        return [_fill_in(*pair) for pair in zip(items, others, strict=True)] if len(items) == len(others) else items
    return cast("Any", value)


def _resource(item: Recorded, prefix: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"inputs": _redact(dict(item.inputs))}
    if item.provider:
        shown["provider"] = item.provider
    if item.protect:
        shown["protect"] = True
    if item.depends_on:
        shown["dependsOn"] = [_short(urn, prefix) for urn in item.depends_on]
    return shown


def _short(urn: str, prefix: str) -> str:
    return urn.removeprefix(prefix).partition("::")[2]


def _redact(value: Any) -> Any:
    if isinstance(value, Secret):
        return _names_only(value.value)
    if isinstance(value, Unknown):
        return _UNKNOWN
    if isinstance(value, dict):
        return {key: _redact(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_redact(item) for item in cast("list[Any]", value)]
    return value


def _names_only(value: Any) -> Any:
    if isinstance(value, dict):
        return dict.fromkeys(cast("dict[str, Any]", value), "[secret]")
    # With one value that a preview does not know, it does not know the others of a Secret either.
    return _UNKNOWN if isinstance(value, Unknown) else "[secret]"
