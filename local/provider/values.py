"""Property values as the provider sees them: plain JSON plus two marks, `Secret` and `UNKNOWN`.

Everything that decides something works on plain values, so secrets are revealed first (`reveal`) and the marks are
put back on what is returned (`mark_secrets`). Unknown values exist in previews only and stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

Object = dict[str, Any]
"""A Kubernetes object or a part of one."""


@dataclass(frozen=True)
class Secret:
    """A value that the engine keeps encrypted and never shows."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


class Unknown:
    """The type of `UNKNOWN`: a value that exists only once something has been created."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def as_object(value: Any) -> Object:
    """Return `value` if it is an object, else an empty one: absent and wrongly shaped read alike."""
    return cast("Object", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def pluck(value: Any, *path: str) -> Any:
    """Return what lies at `path` below `value`, or None where any step is absent."""
    for key in path:
        value = as_object(value).get(key)
    return value


def reveal(value: Any) -> Any:
    """Return a copy of `value` without secret marks."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in as_object(value).items()}
    if isinstance(value, list):
        return [reveal(item) for item in as_list(value)]
    return value


def contains_unknown(value: Any) -> bool:
    """Tell whether any part of `value` is not known yet."""
    if isinstance(value, Secret):
        return contains_unknown(value.value)
    if isinstance(value, dict):
        return any(contains_unknown(item) for item in as_object(value).values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in as_list(value))
    return isinstance(value, Unknown)


def contains_secret(value: Any) -> bool:
    """Tell whether any part of `value` is marked secret."""
    if isinstance(value, dict):
        return any(contains_secret(item) for item in as_object(value).values())
    if isinstance(value, list):
        return any(contains_secret(item) for item in as_list(value))
    return isinstance(value, Secret)


def secret_texts(value: Any, *, inside_secret: bool = False) -> Iterator[str]:
    """Yield every text that is part of a secret in `value`."""
    if isinstance(value, Secret):
        yield from secret_texts(value.value, inside_secret=True)
    elif isinstance(value, dict):
        for item in as_object(value).values():
            yield from secret_texts(item, inside_secret=inside_secret)
    elif isinstance(value, list):
        for item in as_list(value):
            yield from secret_texts(item, inside_secret=inside_secret)
    elif inside_secret and isinstance(value, str):
        yield value


def mark_secrets(value: Any, like: Any) -> Any:
    """Return `value` with every part marked secret that is secret at the same place in `like`.

    A list is secret as a whole if any element of its counterpart is: the server may have reordered it.
    """
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict) and isinstance(like, dict):
        marks = as_object(like)
        return {key: mark_secrets(item, marks.get(key)) for key, item in as_object(value).items()}
    return Secret(cast("Any", value)) if contains_secret(like) else cast("Any", value)
