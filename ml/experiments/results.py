"""The shapes in which tests and intervals are handed back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Alternative = Literal["two-sided", "greater", "less"]
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


class Interval(NamedTuple):
    """A closed interval; an end is infinite only where one side is left open on purpose."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Tell whether the value lies inside, ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a test of one effect says.

    Attributes:
        estimate: treatment minus control, or the lift where the method says so.
        standard_error: of the estimate.
        statistic: z or t, by `degrees_of_freedom`.
        p_value: for the alternative that was asked for.
        interval: holds the estimate, at level 1 - alpha.
        method: the formula by name.
        degrees_of_freedom: of Student's t, None where the normal is used.
        note: says when an approximation is poor; empty when all is well.
    """

    estimate: float
    standard_error: float
    statistic: float
    p_value: float
    interval: Interval
    method: str
    degrees_of_freedom: float | None = None
    note: str = ""
