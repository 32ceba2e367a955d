"""Keeps `ignore_changes` honest under server-side apply.

The engine fills an ignored field with the value in its state. Applying that value would take the field away from
whoever owns it now, so a field that others own is left out of what is applied, and one that nobody else owns is
applied with the value it has.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from local.provider.managed_fields import Fields, counterpart
from local.provider.paths import Path
from local.provider.values import Object, as_list, as_object


def without_ignored_changes(desired: Object, live: Object, ignored: Sequence[Path]) -> Object:
    """Return what to apply so that no ignored field of `live` changes its value or its owner."""
    result = copy.deepcopy(desired)
    fields = Fields.of(live)
    for pattern in ignored:
        for path in list(_expand(pattern, desired)):
            owned, owned_path = fields.at(path, desired)
            found, value = _live_value(live, desired, path, fields)
            if owned.is_others and not owned.is_ours:
                _remove(result, owned_path)
            elif found:
                _set(result, path, value)
    return result


def _expand(pattern: Path, value: Any) -> Iterator[Path]:
    """Yield the paths in `value` that a pattern with `*` stands for."""
    if not pattern:
        yield ()
        return
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        keys: list[str | int] = list(range(len(as_list(value)))) if isinstance(value, list) else [*as_object(value)]
    elif isinstance(head, int):
        keys = [head] if head < len(as_list(value)) else []
    else:
        keys = [head] if head in as_object(value) else []
    for key in keys:
        below = as_list(value)[key] if isinstance(key, int) else as_object(value)[key]
        for path in _expand(rest, below):
            yield (key, *path)


def _live_value(live: Any, desired: Any, path: Path, fields: Fields) -> tuple[bool, Any]:
    for segment in path:
        if isinstance(segment, int):
            elements = as_list(desired)
            desired = elements[segment]
            if fields.merge_keys:
                live = counterpart(desired, as_list(live), fields.merge_keys)
                if live is None:
                    return False, None
            elif segment < len(as_list(live)):
                live = as_list(live)[segment]
            else:
                return False, None
            fields = fields.element(desired)
        else:
            if segment not in as_object(live):
                return False, None
            live, desired = as_object(live)[segment], as_object(desired)[segment]
            fields = fields.field(segment)
    return True, live


def _parent(value: Any, path: Path) -> Any:
    """Return what holds the last segment of `path`, or None where an earlier ignored path has taken it away."""
    for segment in path[:-1]:
        if isinstance(segment, str) and segment not in as_object(value):
            return None
        value = value[segment]
    return value


def _remove(value: Any, path: Path) -> None:
    # Elements stay: taking one out would move those behind it and break the paths still to be handled.
    parent = _parent(value, path)
    if isinstance(path[-1], str) and parent is not None:
        parent.pop(path[-1], None)


def _set(value: Any, path: Path, item: Any) -> None:
    parent = _parent(value, path)
    if parent is not None:
        parent[path[-1]] = copy.deepcopy(item)
