"""What a rule demands, as an expression that Python evaluates and that `policies.cel` turns into CEL.

A value that is missing or of another type fulfils nothing.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from policies import _quantity
from policies._demand import Demand, Situation, Truth, every, some
from policies._paths import MISSING, UNKNOWN, join, read

Literal = str | int | float | bool


@dataclass(frozen=True)
class Setting:
    """A value that the pack's configuration decides."""

    name: str


class Test(Demand):
    """About the one value at `path`, which is "" for the value itself."""

    path: str

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        found = read(value, self.path)
        if found is UNKNOWN:
            situation.unknown_paths.append(join(place, self.path))
            return None
        return found is not MISSING and self.fits(found, situation)

    @abstractmethod
    def fits(self, found: Any, situation: Situation) -> bool:
        """Say whether a value that is there and known is as it must be."""


@dataclass(frozen=True)
class Present(Test):
    """There is a value."""

    path: str

    def fits(self, found: Any, situation: Situation) -> bool:  # noqa: ARG002 the signature of `Test`
        """See `Test.fits`."""
        return True


@dataclass(frozen=True)
class Filled(Test):
    """A text, list or table with something in it."""

    path: str

    def fits(self, found: Any, situation: Situation) -> bool:  # noqa: ARG002 the signature of `Test`
        """See `Test.fits`."""
        return isinstance(found, str | list | dict) and len(cast("list[Any]", found)) > 0


@dataclass(frozen=True)
class Is(Test):
    """Exactly this value."""

    path: str
    expected: Literal | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        return _same(found, _constant(self.expected, situation))


@dataclass(frozen=True)
class OneOf(Test):
    """One of these values."""

    path: str
    expected: tuple[Literal, ...] | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        return any(_same(found, item) for item in _constant(self.expected, situation))


@dataclass(frozen=True)
class Matches(Test):
    """A text in which the pattern is found; `^` and `\\z`-like `$` mean the ends of the text."""

    path: str
    pattern: str

    def fits(self, found: Any, situation: Situation) -> bool:  # noqa: ARG002 the signature of `Test`
        """See `Test.fits`."""
        return isinstance(found, str) and _compiled(self.pattern).search(found) is not None


@dataclass(frozen=True)
class StartsWithOneOf(Test):
    """A text that starts with one of these."""

    path: str
    starts: tuple[str, ...] | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        return isinstance(found, str) and found.startswith(tuple(_constant(self.starts, situation)))


@dataclass(frozen=True)
class AtLeast(Test):
    """A number not below this one."""

    path: str
    least: float | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        return _is_number(found) and found >= _constant(self.least, situation)


@dataclass(frozen=True)
class AtMost(Test):
    """A number not above this one."""

    path: str
    most: float | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        return _is_number(found) and found <= _constant(self.most, situation)


@dataclass(frozen=True)
class AmountAtMost(Test):
    """An amount such as `500m` or `2Gi`, not above this one."""

    path: str
    most: str | Setting

    def fits(self, found: Any, situation: Situation) -> bool:
        """See `Test.fits`."""
        amount, most = _quantity.parse(found), _quantity.parse(_constant(self.most, situation))
        return amount is not None and most is not None and amount <= most


@dataclass(frozen=True)
class Equal(Demand):
    """Two paths hold the same value."""

    path: str
    other: str

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        found = {path: read(value, path) for path in (self.path, self.other)}
        unknown = [join(place, path) for path, item in found.items() if item is UNKNOWN]
        situation.unknown_paths.extend(unknown)
        if unknown:
            return None
        return found[self.path] is not MISSING and _same(found[self.path], found[self.other])


@dataclass(frozen=True)
class Every(Demand):
    """Each item of a list fulfils a demand; an absent list has no items."""

    path: str
    item: Demand

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        return _over(value, self.path, self.item, place, situation, every)


@dataclass(frozen=True)
class Some(Demand):
    """At least one item of a list fulfils a demand."""

    path: str
    item: Demand

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        return _over(value, self.path, self.item, place, situation, some)


@dataclass(frozen=True)
class EveryValue(Demand):
    """Each value of a table fulfils a demand, whatever its key; an absent table has none."""

    path: str
    item: Demand

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        table = read(value, self.path)
        here = join(place, self.path)
        if table is UNKNOWN:
            situation.unknown_paths.append(here)
            return None
        items: dict[Any, Any] = cast("dict[Any, Any]", table) if isinstance(table, dict) else {}
        return every(_item_holds(self.item, each, f"{here}.{key}", situation) for key, each in items.items())


@dataclass(frozen=True)
class NoKey(Demand):
    """No key of a table matches a pattern."""

    path: str
    pattern: str

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        table = read(value, self.path)
        if table is UNKNOWN:
            situation.unknown_paths.append(join(place, self.path))
            return None
        keys: list[Any] = list(cast("dict[Any, Any]", table)) if isinstance(table, dict) else []
        return not any(isinstance(key, str) and _compiled(self.pattern).search(key) for key in keys)


def _over(
    value: Any,
    path: str,
    item: Demand,
    place: str,
    situation: Situation,
    join_truths: Callable[[Iterable[Truth]], Truth],
) -> Truth:
    found = read(value, path)
    if found is UNKNOWN:
        situation.unknown_paths.append(join(place, path))
        return None
    items = cast("list[Any]", found) if isinstance(found, list) else []
    here = join(place, path)
    return join_truths([_item_holds(item, each, f"{here}.{index}", situation) for index, each in enumerate(items)])


def _item_holds(item: Demand, value: Any, place: str, situation: Situation) -> Truth:
    if value is UNKNOWN:
        situation.unknown_paths.append(place)
        return None
    return item.holds(value, place, situation)


def _constant(value: Any, situation: Situation) -> Any:
    """Return a constant, or what the configuration says for it."""
    return situation.settings[value.name] if isinstance(value, Setting) else value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Python's `$` also stands before a last line break, RE2's does not.
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern))
