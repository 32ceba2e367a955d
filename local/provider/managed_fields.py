"""Reads `metadata.managedFields`: who owns which field, and which lists and maps are merged by key.

The API server records for every field manager the tree of fields it owns: `f:NAME` is a field, `k:{...}` an element
of a list that is merged by those keys, `v:VALUE` a member of a set; a field without children is owned as a whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from local.provider.kubeclient import FIELD_MANAGER
from local.provider.paths import Path
from local.provider.values import Object, as_list, as_object, pluck

_Tree = dict[str, Any]


@dataclass(frozen=True)
class Fields:
    """A part of an object as its managers see it: the fields of all of them, and ours. None: not owned there."""

    everyone: _Tree | None
    ours: _Tree | None
    others: _Tree | None

    @classmethod
    def of(cls, live: Object) -> Fields:
        """Return the fields of a live object."""
        ours: _Tree = {}
        others: _Tree = {}
        for entry in as_list(pluck(live, "metadata", "managedFields")):
            is_ours = pluck(entry, "manager") == FIELD_MANAGER and pluck(entry, "operation") == "Apply"
            _merge(ours if is_ours else others, as_object(pluck(entry, "fieldsV1")))
        everyone: _Tree = {}
        _merge(everyone, ours)
        _merge(everyone, others)
        return cls(everyone, ours, others)

    @property
    def is_whole(self) -> bool:
        """The value is owned as a whole: a scalar, an atomic list or an atomic map."""
        return self.everyone == {}

    @property
    def is_ours(self) -> bool:
        """We own this field or something below it."""
        return self.ours is not None

    @property
    def is_others(self) -> bool:
        """Somebody else owns this field or something below it."""
        return self.others is not None

    @property
    def is_set(self) -> bool:
        """The value is a list whose members are merged by value."""
        return any(key.startswith("v:") for key in self.everyone or {})

    @property
    def merge_keys(self) -> tuple[str, ...]:
        """Keys by which elements of this list are told apart; empty for any other value."""
        for key in self.everyone or {}:
            if key.startswith("k:"):
                return tuple(_element_keys(key))
        return ()

    def field(self, name: str) -> Fields:
        """Return the fields below a named field."""
        return self._step(f"f:{name}")

    def element(self, element: Any) -> Fields:
        """Return the fields of the list element that has the same merge keys as `element`."""
        for key in self.everyone or {}:
            if key.startswith("k:") and _matches(as_object(element), _element_keys(key)):
                return self._step(key)
        return Fields(None, None, None)

    def at(self, path: Path, value: Any) -> tuple[Fields, Path]:
        """Return the fields at `path` below `value` and where they are: for a part of a whole, at the whole."""
        fields = self
        for depth, segment in enumerate(path):
            if fields.is_whole:
                return fields, path[:depth]
            if isinstance(segment, int):
                elements = as_list(value)
                value = elements[segment] if segment < len(elements) else None
                fields = fields.element(value)
            else:
                value = as_object(value).get(segment)
                fields = fields.field(segment)
        return fields, path

    def _step(self, key: str) -> Fields:
        return Fields(*(_child(tree, key) for tree in (self.everyone, self.ours, self.others)))


def counterpart(element: Any, candidates: list[Any], merge_keys: tuple[str, ...]) -> Any | None:
    """Return the element of `candidates` that is merged with `element`, or None.

    A key that `element` leaves out has the server's default, so it does not tell elements apart.
    """
    wanted = {key: as_object(element)[key] for key in merge_keys if key in as_object(element)}
    for candidate in candidates:
        if all(as_object(candidate).get(key) == value for key, value in wanted.items()):
            return candidate
    return None


def _child(tree: _Tree | None, key: str) -> _Tree | None:
    return as_object(tree[key]) if tree is not None and key in tree else None


def _merge(target: _Tree, source: _Tree) -> None:
    for key, children in source.items():
        if key != ".":
            _merge(cast("_Tree", target.setdefault(key, {})), as_object(children))


def _element_keys(key: str) -> Object:
    return as_object(json.loads(key.removeprefix("k:")))


def _matches(element: Object, keys: Object) -> bool:
    return bool(element) and all(element.get(name, value) == value for name, value in keys.items())
