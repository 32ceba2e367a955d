"""Compares the inputs that were applied with the inputs that are wanted now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from local.provider import objects
from local.provider.equality import is_empty, same
from local.provider.paths import Path, covers
from local.provider.replacement import Mutability, forces_replacement, replacing_fields
from local.provider.values import Object, Unknown, as_list, as_object


class ChangeKind(Enum):
    """What happens to one property."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class Change:
    """One property that differs."""

    path: Path
    kind: ChangeKind
    is_replacing: bool


@dataclass(frozen=True)
class Comparison:
    """What applying the new inputs means."""

    changes: tuple[Change, ...]
    must_delete_first: bool
    """A replacement would bear the same name, so the old object has to go before the new one comes."""


def compare(old: Object, new: Object, *, ignored: Sequence[Path], mutability: Mutability) -> Comparison:
    """Compare two sets of plain inputs; unknown values count as changed.

    A namespace that is not given is the default one, on either side.
    """
    old, new = _canonical(old), _canonical(new)
    fields = replacing_fields(new, mutability)
    changes = tuple(
        Change(path, kind, forces_replacement(path, fields))
        for path, kind in _changes((), old, new)
        if not any(covers(pattern, path) for pattern in ignored)
    )
    keeps_name = (
        bool(objects.name(new))
        and objects.name(new) == objects.name(old)
        and objects.namespace(new) == objects.namespace(old)
        and not objects.is_annotated_true(new, objects.AUTONAMED_ANNOTATION)
    )
    return Comparison(changes, must_delete_first=keeps_name)


def _canonical(inputs: Object) -> Object:
    metadata = {k: v for k, v in as_object(inputs.get("metadata")).items() if k not in objects.SERVER_METADATA}
    if metadata.get("namespace") == objects.DEFAULT_NAMESPACE:
        del metadata["namespace"]
    canonical = {key: value for key, value in inputs.items() if key != "status"}
    return {**canonical, "metadata": metadata, "apiVersion": objects.api_version(inputs)}


def _changes(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, ChangeKind]]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = as_object(old), as_object(new)
        for key in sorted(before.keys() | after.keys()):
            yield from _changes((*path, key), before.get(key), after.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        ones, others = as_list(old), as_list(new)
        for index in range(max(len(ones), len(others))):
            one = ones[index] if index < len(ones) else None
            other = others[index] if index < len(others) else None
            yield from _changes((*path, index), one, other)
    elif isinstance(new, Unknown):
        yield path, ChangeKind.ADD if is_empty(old) else ChangeKind.UPDATE
    elif not same(old, new, path):
        yield path, _kind(old, new)


def _kind(old: Any, new: Any) -> ChangeKind:
    if is_empty(old):
        return ChangeKind.ADD
    return ChangeKind.DELETE if is_empty(new) else ChangeKind.UPDATE
