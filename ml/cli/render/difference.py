"""What one rendered stack has that another has not, and where the same resource differs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ml.cli.render.graph import Declared, Rendered
from ml.cli.render.manifests import shown
from ml.cli.render.tree import label

_ABSENT: Final = object()
_LONGEST: Final = 60
_MADE_UP: Final = re.compile(r"(?<=[a-z0-9])-[0-9a-f]{8}$")


@dataclass(frozen=True, kw_only=True)
class Change:
    """A resource that is there twice and not the same."""

    item: Declared
    paths: Mapping[str, tuple[str, str]]
    """Value before and after by path."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How to get from one rendered stack to another."""

    before: str
    after: str
    added: Sequence[Declared]
    removed: Sequence[Declared]
    changed: Sequence[Change]

    def lines(self) -> list[str]:
        """Return the difference as text; a last line counts."""
        changes = [
            line
            for change in self.changed
            for line in (
                f"~ {label(change.item)}",
                *(f"    {path}: {old} -> {new}" for path, (old, new) in change.paths.items()),
            )
        ]
        return [
            f"from {self.before} to {self.after}",
            *(f"- {label(item)}" for item in self.removed),
            *(f"+ {label(item)}" for item in self.added),
            *changes,
            f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed",
        ]

    def as_data(self) -> dict[str, Any]:
        """Return the difference for programs."""
        return {
            "before": self.before,
            "after": self.after,
            "added": [item.key for item in self.added],
            "removed": [item.key for item in self.removed],
            "changed": {change.item.key: dict(change.paths) for change in self.changed},
        }


def compare(before: Rendered, after: Rendered) -> Difference:
    """Return what has to happen to the first for it to be the second; components count by what is in them."""
    old = {item.key: item for item in before.made()}
    new = {item.key: item for item in after.made()}
    both = [(old[key], item) for key, item in new.items() if key in old]
    changes = [Change(item=item, paths=dict(_paths(was.inputs, item.inputs, ""))) for was, item in both]
    return Difference(
        before=before.title,
        after=after.title,
        added=[item for key, item in new.items() if key not in old],
        removed=[item for key, item in old.items() if key not in new],
        changed=[change for change in changes if change.paths],
    )


def _paths(old: Any, new: Any, place: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        table, later = cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new)
        for key in dict.fromkeys([*table, *later]):
            yield from _paths(table.get(key, _ABSENT), later.get(key, _ABSENT), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list):
        first, second = cast("list[Any]", old), cast("list[Any]", new)
        for index in range(max(len(first), len(second))):
            one, other = (items[index] if index < len(items) else _ABSENT for items in (first, second))
            yield from _paths(one, other, f"{place}[{index}]")
    elif _meant(old) != _meant(new):
        yield place, (_text(old), _text(new))


def _meant(value: Any) -> Any:
    """Return a value without the ending of a name that nobody chose: the renderer makes it up from the stack's name."""
    return _MADE_UP.sub("", value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "(nothing)"
    text = json.dumps(shown(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
