"""Specifications, histories and decisions as plain JSON data, for the record and for replay.

A stored decision is replayed by reading its specification and history back and calling `decide` again: the
same inputs give the same decision, bit for bit (floats keep all their digits in JSON).
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ml.experiments.decision import Decision, decide
from ml.experiments.history import History
from ml.experiments.specification import ExperimentSpec

_T = TypeVar("_T")


def to_document(value: object) -> Any:
    """Return dataclasses, mappings and tuples as dicts and lists; infinite numbers become the text "inf"."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_document(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_document(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [to_document(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def specification_from_document(document: Mapping[str, Any]) -> ExperimentSpec:
    """Return the specification that `to_document` wrote.

    Raises:
        ValueError: a key is unknown or missing, or a value is out of range; the message names the path.
    """
    return _build(ExperimentSpec, document, "specification")


def history_from_document(document: Mapping[str, Any]) -> History:
    """Return the history that `to_document` wrote.

    Raises:
        ValueError: as `specification_from_document`.
    """
    return _build(History, document, "history")


def replay(document: Mapping[str, Any]) -> Decision:
    """Decide again from a record with the keys specification, history and at.

    Raises:
        ValueError: the record lacks a key or holds a bad value.
    """
    missing = {"specification", "history", "at"} - set(document)
    if missing:
        raise ValueError(f"record lacks {sorted(missing)}: allowed is a record with specification, history and at")
    return decide(
        specification_from_document(document["specification"]),
        history_from_document(document["history"]),
        float(document["at"]),
    )


def _refused(path: str, value: object, allowed: str) -> ValueError:
    return ValueError(f"{path}={value!r}: allowed is {allowed}")


def _build(kind: type[_T], document: object, path: str) -> _T:
    if not isinstance(document, Mapping):
        raise _refused(path, document, "an object")
    given = cast("Mapping[str, object]", document)
    hints, needed = _fields(kind)
    unknown = given.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{path} has unknown keys {sorted(unknown)}: allowed are {sorted(hints)}")
    lacking = [name for name in needed if name not in given]
    if lacking:
        raise ValueError(f"{path} lacks {lacking}: allowed is an object with all of them")
    return kind(**{name: _read(hints[name], item, f"{path}.{name}") for name, item in given.items()})


@cache
def _fields(kind: type[object]) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Return the type of each field and the names of those without a default; asked once per look of an experiment."""
    hints = get_type_hints(kind)
    fields = dataclasses.fields(cast("Any", kind))
    missing = dataclasses.MISSING
    needed = [field.name for field in fields if field.default is missing and field.default_factory is missing]
    return {field.name: hints[field.name] for field in fields}, needed


def _read(hint: Any, value: object, path: str) -> object:
    """Return a value of JSON as the type that the field declares."""
    origin: Any = get_origin(hint)
    args = get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build(cast("type[object]", hint), value, path)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _read(next(arg for arg in args if arg is not type(None)), value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise _refused(path, value, "a list")
        return tuple(_read(args[0], item, f"{path}[{k}]") for k, item in enumerate(cast("list[object]", value)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _refused(path, value, "an object")
        items = cast("Mapping[str, object]", value).items()
        return {key: _read(args[1], item, f"{path}.{key}") for key, item in items}
    return _scalar(args if origin is Literal else (), hint, value, path)


def _scalar(words: tuple[object, ...], hint: object, value: object, path: str) -> object:
    if words:
        if value not in words:
            raise _refused(path, value, f"one of {list(words)}")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number:
        return float(cast("float", value))
    if hint is int and number and float(cast("float", value)).is_integer():
        return int(cast("int", value))
    if hint in (str, bool) and isinstance(value, cast("type", hint)):
        return value
    raise _refused(path, value, f"a value of type {getattr(hint, '__name__', hint)}")
