"""The schema of pulumi-aws as its SDK for Python carries it: a resource's inputs, their types, and which it needs.

The SDK is generated from the provider's schema, so its annotations say the same. What the schema does not say, such as
the allowed values of most texts, is not checked here.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Awaitable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

import pulumi
import pulumi_aws

from tests.support.recording_monitor import Secret, Unknown

_PLAIN: Final[Mapping[Any, tuple[type, ...]]] = {bool: (bool,), str: (str,), int: (int, float), float: (int, float)}
_NAMES_OF_PULUMI: Final = {"Output": pulumi.Output, "T": TypeVar("T")}
"""Its own annotations leave them to be looked up."""


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the inputs of a resource of a type such as `aws:ec2/vpc:Vpc`, a line per field."""
    return _problems_of_fields(_fields(_arguments_of(token)), inputs, token)


def inputs_of(token: str) -> frozenset[str]:
    """Return the names of the inputs that a resource type has, in the provider's spelling."""
    return frozenset(_fields(_arguments_of(token)))


@cache
def _arguments_of(token: str) -> type:
    module, name = token.split(":")[1].partition("/")[0], token.rpartition(":")[2]
    resource = getattr(importlib.import_module(f"{pulumi_aws.__name__}.{module}"), name)
    arguments = importlib.import_module(resource.__module__)
    # Where the name is taken by a part of another resource, the SDK calls the arguments otherwise.
    return cast("type", getattr(arguments, f"{name}InitArgs", None) or getattr(arguments, f"{name}Args"))


@cache
def _fields(arguments: type) -> dict[str, tuple[Any, bool]]:
    """Return type and necessity of each field, by the provider's name."""
    init = arguments.__init__
    names = {**vars(importlib.import_module(arguments.__module__)), **_NAMES_OF_PULUMI}
    hints = get_type_hints(init, names)
    return {
        _camel_case(name): (hints[name], parameter.default is inspect.Parameter.empty)
        for name, parameter in inspect.signature(init).parameters.items()
        if name not in ("self", "__self__")
    }


def _problems_of_fields(fields: Mapping[str, tuple[Any, bool]], values: Mapping[str, Any], path: str) -> list[str]:
    found = [f"{path}: has no {name}" for name in sorted(values.keys() - fields.keys())]
    found += [f"{path}: needs {name}" for name, (_, needed) in fields.items() if needed and values.get(name) is None]
    for name in sorted(values.keys() & fields.keys()):
        found += _problems_of_value(fields[name][0], values[name], f"{path}.{name}")
    return found


def _problems_of_value(hint: Any, value: Any, path: str) -> list[str]:
    """Return what is wrong with a value by the alternative that fits it best."""
    if isinstance(value, Secret):
        return _problems_of_value(hint, value.value, path)
    if value is None or isinstance(value, Unknown):
        return []
    return min((_problems_by(kind, value, path) for kind in _alternatives(hint)), key=len)


def _problems_by(kind: Any, value: Any, path: str) -> list[str]:
    if kind is Any:
        return []
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Sequence and isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [line for index, item in items for line in _problems_of_value(arguments[0], item, f"{path}[{index}]")]
    if origin is Mapping and isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return [line for key, item in entries for line in _problems_of_value(arguments[1], item, f"{path}.{key}")]
    if isinstance(kind, type) and issubclass(kind, Enum):
        allowed = [member.value for member in kind]
        return [] if value in allowed else [f"{path}: {value!r} is none of {allowed}"]
    if kind in _PLAIN:
        is_number_for_flag = isinstance(value, bool) and kind is not bool
        fits = isinstance(value, _PLAIN[kind]) and not is_number_for_flag and (kind is not int or value == int(value))
        return [] if fits else [f"{path}: {value!r} is no {kind.__name__}"]
    if isinstance(kind, type) and origin is None and isinstance(value, dict):
        return _problems_of_fields(_fields(kind), cast("dict[str, Any]", value), path)
    return [f"{path}: {value!r} is no {getattr(kind, '__name__', kind)}"]


def _alternatives(hint: Any) -> list[Any]:
    """Return what a hint allows besides nothing and values that come later."""
    if get_origin(hint) not in (Union, types.UnionType):
        return [hint]
    kept = [
        kind
        for part in get_args(hint)
        for kind in _alternatives(part)
        # Dictionaries have the same fields as their classes, which are among the alternatives too.
        if kind is not types.NoneType and get_origin(kind) not in (pulumi.Output, Awaitable) and not is_typeddict(kind)
    ]
    # A text beside an enumeration of the same values would let every text through.
    enumerated = [kind for kind in kept if isinstance(kind, type) and issubclass(kind, Enum)]
    return [kind for kind in kept if kind is not str] if enumerated else kept


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
