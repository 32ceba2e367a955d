"""Turns a demand into CEL, the language in which the API server judges at admission."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, cast

from policies import _logic as logic
from policies._demand import AllOf, AnyOf, Demand, Not
from policies._logic import Setting
from policies._paths import steps

EMPTY_LIST: Final = "dyn([])"
EMPTY_TABLE: Final = "dyn({})"
"""Without `dyn` the type of what would be in there is guessed from its first use, and the second does not compile."""


class _Writer:
    """Writes one expression; every list that is gone through gets a variable of its own."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._numbers = count()

    def write(self, demand: Demand, here: str) -> str:
        """Return an expression that is true where the demand holds."""
        match demand:
            case AllOf(parts):
                return "(" + " && ".join(self.write(part, here) for part in parts) + ")"
            case AnyOf(parts):
                return "(" + " || ".join(self.write(part, here) for part in parts) + ")"
            case Not(part):
                return f"!({self.write(part, here)})"
            case logic.Every(path, item):
                return self._over(path, item, here, "all")
            case logic.Some(path, item):
                return self._over(path, item, here, "exists")
            case logic.EveryValue(path, item):
                name = f"k{next(self._numbers)}"
                table = f"{optional(here, path)}.orValue({EMPTY_TABLE})"
                return f"{table}.all({name}, {self.write(item, f'{table}[{name}]')})"
            case logic.NoKey(path, pattern):
                name = f"k{next(self._numbers)}"
                return f"{optional(here, path)}.orValue({EMPTY_TABLE}).all({name}, !{name}.matches({_text(pattern)}))"
            case logic.Equal(path, other):
                left = optional(here, path)
                return f"({left}.hasValue() && {left} == {optional(here, other)})"
            case logic.Test():
                return self._test(demand, here)
            case _:
                raise TypeError(f"no CEL for {type(demand).__name__}")

    def _over(self, path: str, item: Demand, here: str, macro: str) -> str:
        name = f"v{next(self._numbers)}"
        return f"{optional(here, path)}.orValue({EMPTY_LIST}).{macro}({name}, {self.write(item, name)})"

    def _test(self, demand: logic.Test, here: str) -> str:
        if not demand.path:
            return self._of_value(demand, here)
        found = optional(here, demand.path)
        return f"({found}.hasValue() && {self._of_value(demand, f'{found}.value()')})"

    def _of_value(self, demand: logic.Test, value: str) -> str:
        match demand:
            case logic.Present():
                return "true"
            case logic.Filled():
                return f"size({value}) > 0"
            case logic.Is(_, expected):
                return f"{value} == {self._constant(expected)}"
            case logic.OneOf(_, expected):
                return f"{value} in {self._constant(expected)}"
            case logic.Matches(_, pattern):
                return f"{value}.matches({_text(pattern)})"
            case logic.StartsWithOneOf(_, starts):
                name = f"v{next(self._numbers)}"
                return f"{self._constant(starts)}.exists({name}, {value}.startsWith({name}))"
            case logic.AtLeast(_, least):
                return f"{value} >= {_number(self._value(least))}"
            case logic.AtMost(_, most):
                return f"{value} <= {_number(self._value(most))}"
            case logic.AmountAtMost(_, most):
                text = f"string({value})"
                return f"isQuantity({text}) && quantity({text}).compareTo(quantity({_text(self._value(most))})) <= 0"
            case _:
                raise TypeError(f"no CEL for {type(demand).__name__}")

    def _value(self, value: Any) -> Any:
        return self._settings[value.name] if isinstance(value, Setting) else value

    def _constant(self, value: Any) -> str:
        return _literal(self._value(value))


def expression(demand: Demand, here: str, settings: Mapping[str, Any]) -> str:
    """Return CEL that is true where the demand holds of the variable `here`."""
    return _Writer(settings).write(demand, here)


def optional(here: str, path: str) -> str:
    """Return the optional value at a path; brackets all along, because CEL reserves words such as `namespace`."""
    keys = [step if step.isdecimal() else _text(step) for step in steps(path)]
    return here + "".join(f"[?{key}]" for key in keys)


def _text(value: str) -> str:
    return json.dumps(value)


def _number(value: float) -> str:
    return repr(float(value))


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        mixed = any(type(item) is not type(items[0]) for item in items)
        return "[" + ", ".join(f"dyn({_literal(item)})" if mixed else _literal(item) for item in items) + "]"
    return json.dumps(value)
