"""What a demand is and how several make one: evaluation has three answers, true, false, and None for "not known yet".

A demand that is broken somewhere is broken, whatever else is unknown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Truth = bool | None


@dataclass
class Situation:
    """What an evaluation knows besides the value, and what it found out."""

    settings: Mapping[str, Any]
    unknown_paths: list[str] = field(default_factory=list[str])


class Demand(ABC):
    """Something that is true or false of a value."""

    @abstractmethod
    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """Say whether the value, which lies at `place` of its resource, fulfils this."""

    def __and__(self, other: Demand) -> Demand:
        return AllOf((self, other))

    def __or__(self, other: Demand) -> Demand:
        return AnyOf((self, other))

    def __invert__(self) -> Demand:
        return Not(self)


@dataclass(frozen=True)
class AllOf(Demand):
    """Every one of several."""

    parts: tuple[Demand, ...]

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        return every(part.holds(value, place, situation) for part in self.parts)


@dataclass(frozen=True)
class AnyOf(Demand):
    """One of several."""

    parts: tuple[Demand, ...]

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        return some(part.holds(value, place, situation) for part in self.parts)


@dataclass(frozen=True)
class Not(Demand):
    """The opposite; what is unknown stays unknown."""

    part: Demand

    def holds(self, value: Any, place: str, situation: Situation) -> Truth:
        """See `Demand.holds`."""
        truth = self.part.holds(value, place, situation)
        return None if truth is None else not truth


def every(truths: Iterable[Truth]) -> Truth:
    """Say whether all are true: one that is false decides, whatever is not known."""
    known = list(truths)
    return False if False in known else (None if None in known else True)


def some(truths: Iterable[Truth]) -> Truth:
    """Say whether one is true: one that is true decides, whatever is not known."""
    known = list(truths)
    return True if True in known else (None if None in known else False)
