"""Stored events to typed events and back; older stored forms are lifted step by step to the newest.

A change of an event type gets a new `version` and one function here that turns a document of the version before into
one of the new version. Stored events are never rewritten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast, get_args

from pydantic_core import from_json

from ml.events.decisions import canonical
from ml.events.types import AnyEvent, Document, ExperimentEvent, ModelEvent

Upcaster = Callable[[Document], Document]
Upcasters = Mapping[tuple[str, int], Upcaster]
"""By type and the version that it lifts from."""

UPCASTERS: Final[Upcasters] = {}
"""None yet: every type is in its first version."""

_CLASSES: Final[dict[str, Any]] = {
    kind.model_fields["type"].default: kind
    for union in (ExperimentEvent, ModelEvent)
    for kind in get_args(get_args(union)[0])
}


class UnreadableEventError(ValueError):
    """A stored event is not what this version of the platform can read."""


def lift(document: Document, newest: int, upcasters: Upcasters = UPCASTERS) -> Document:
    """Return a stored document in the newest version of its type.

    Raises:
        UnreadableEventError: it is newer than `newest`, or a step is missing.
    """
    name, version = document.get("type"), document.get("version", 1)
    if not isinstance(name, str) or not isinstance(version, int) or not 1 <= version <= newest:
        raise UnreadableEventError(f"type={name!r}, version={version!r}: allowed are versions 1 to {newest}")
    for step in range(version, newest):
        upcaster = upcasters.get((name, step))
        if upcaster is None:
            raise UnreadableEventError(f"type={name!r}, version={step}: no upcaster leads to version {step + 1}")
        document = {**upcaster(dict(document)), "type": name, "version": step + 1}
    return document


def to_text(event: AnyEvent) -> str:
    """Return an event as the JSON text that is stored.

    Raises:
        ValueError: it holds a number that is not finite.
    """
    return canonical(event.model_dump())


def from_text(text: str | bytes, upcasters: Upcasters = UPCASTERS, classes: Mapping[str, Any] = _CLASSES) -> AnyEvent:
    """Return the event that was stored as this text.

    Raises:
        UnreadableEventError: it is no event, of an unknown type, or of a version that cannot be lifted.
    """
    try:
        loaded: object = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except ValueError as error:
        raise UnreadableEventError(f"a stored event is no JSON: {error}") from error
    return from_document(loaded, upcasters, classes)


def _finite(text: str) -> float:
    """Read a number. JSON can say 1e999, but nothing that we stored does, and no hash could be made of it."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def newest_text(text: str, upcasters: Upcasters = UPCASTERS, classes: Mapping[str, Any] = _CLASSES) -> str:
    """Return a stored event in the newest version of its type, as text; one that is in it stays as it is.

    Raises:
        UnreadableEventError: as `from_text`.
    """
    try:
        loaded: object = from_json(text)
    except ValueError:
        loaded = None
    if isinstance(loaded, dict):
        document = cast("Document", loaded)
        kind = classes.get(str(document.get("type")))
        if kind is not None and document.get("version") == _newest(kind):
            return text
    return to_text(from_text(text, upcasters, classes))


def from_document(loaded: object, upcasters: Upcasters = UPCASTERS, classes: Mapping[str, Any] = _CLASSES) -> AnyEvent:
    """Return the event of a JSON document; see `from_text`."""
    if not isinstance(loaded, dict):
        raise UnreadableEventError(f"a stored event is {type(loaded).__name__}: allowed is an object")
    document = cast("Document", loaded)
    kind = classes.get(str(document.get("type")))
    if kind is None:
        raise UnreadableEventError(f"type={document.get('type')!r}: allowed are {sorted(classes)}")
    try:
        return kind.model_validate(lift(document, _newest(kind), upcasters))
    except UnreadableEventError:
        raise
    except ValueError as error:
        raise UnreadableEventError(f"type={document['type']!r}: {error}") from error


def _newest(kind: Any) -> int:
    return int(get_args(kind.model_fields["version"].annotation)[0])
