"""Group sequential boundaries for any number of looks at any information times, exact to about 1e-9.

Two ways to set them:
- `spending_boundaries` and `SpendingPath` spend alpha by a function of information; the way to go when looks
  come as they come. `SpendingPath.next` adds one look at a time and costs milliseconds.
- `wang_tsiatis_boundaries` fixes the shape C t^(delta - 1/2) for looks that are all known: delta = 1/2 is
  Pocock's constant boundary, delta = 0 is O'Brien and Fleming's.

Boundaries are z values: reject when Z (or |Z| for two sides) is at or above them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import optimize

from ml.experiments import validation as check
from ml.experiments.distributions import normal_quantile
from ml.experiments.recursion import NULL_REACH, Stopped, begin
from ml.experiments.spending import Spending

Sides = Literal[1, 2]
NEVER_CROSSED: Final = 37.0
"""The z value that stands for "no stopping at this look": its tail cannot be held in a double."""
_NEGLIGIBLE: Final = 1e-14
"""Error below this is not worth solving the recursion for; the plain normal quantile is used (conservative)."""
SMALLEST_STEP: Final = 1e-7
"""A look must add at least this share of the information there already is."""


@dataclass(frozen=True)
class Look:
    """One look of a sequential design.

    Attributes:
        fraction: information over planned information.
        boundary: z at which to reject.
        spent: error of one side spent up to and including this look.
    """

    fraction: float
    boundary: float
    spent: float


@dataclass(frozen=True)
class SpendingPath:
    """A sequential test under way: immutable, grows by one look at a time.

    Attributes:
        spending: how alpha is spent.
        alpha: error of one side; use half of a two-sided level with sides=2.
        sides: 2 stops on both sides alike, 1 only for large z.
        looks: the looks so far.
    """

    spending: Spending
    alpha: float
    sides: Sides
    looks: tuple[Look, ...] = ()
    _state: Stopped | None = None

    def __post_init__(self) -> None:
        check.finite("alpha", self.alpha, above=0.0, below=0.5)
        if self.sides not in (1, 2):
            raise ValueError(f"sides={self.sides}: allowed are 1 and 2")

    def next(self, fraction: float, *, final: bool = False) -> SpendingPath:
        """Return the path with one more look.

        Args:
            fraction: information at this look over the planned information; above the last look's.
            final: spend all that is left, because no later look will come.

        Raises:
            ValueError: information does not grow, or the path had its final look.
        """
        before = self.looks[-1] if self.looks else _NOTHING_YET
        look, state = self._advance(before, self._state, fraction, final=final)
        return SpendingPath(self.spending, self.alpha, self.sides, (*self.looks, look), state)

    def _advance(
        self, before: Look, state: Stopped | None, fraction: float, *, final: bool
    ) -> tuple[Look, Stopped | None]:
        """Return one more look and the paths that go on; a state of None means that nothing could stop yet."""
        t = check.positive("fraction", fraction)
        if t <= before.fraction * (1.0 + SMALLEST_STEP):
            raise ValueError(
                f"fraction={t}: allowed are numbers above the look before, {before.fraction} "
                "(information never goes backwards)"
            )
        spent = max(before.spent, self.alpha if final else self.spending.spent(t, self.alpha))
        increment = spent - before.spent
        arrival = begin(t) if state is None else state.arrive(t)
        if increment < _NEGLIGIBLE:
            # Too small for the recursion. The tail of a look by itself is an upper limit of what it can stop.
            tail = spent if state is None else increment
            boundary = min(NEVER_CROSSED, -normal_quantile(tail)) if tail > 0.0 else NEVER_CROSSED
        elif state is None:
            boundary = -normal_quantile(increment)
        else:
            start = min(before.boundary, NULL_REACH) * math.sqrt(before.fraction)
            boundary = arrival.upper_bound_for(increment, start) / math.sqrt(t)
        look = Look(t, boundary, spent)
        if state is None and boundary >= NULL_REACH:
            return look, None
        upper = boundary * math.sqrt(t)
        return look, arrival.stop(-upper if self.sides == 2 else -math.inf, upper)

    def extend(self, fractions: list[float]) -> SpendingPath:
        """Return the path with many more looks; the same as `next` for each, without copying in between.

        Raises:
            ValueError: as `next`.
        """
        looks = list(self.looks)
        state = self._state
        for fraction in fractions:
            look, state = self._advance(looks[-1] if looks else _NOTHING_YET, state, fraction, final=False)
            looks.append(look)
        return SpendingPath(self.spending, self.alpha, self.sides, tuple(looks), state)


_NOTHING_YET: Final = Look(0.0, NEVER_CROSSED, 0.0)


def spending_boundaries(
    information: check.Numbers,
    *,
    spending: Spending | None = None,
    alpha: float = 0.05,
    sides: Sides = 2,
    planned: float | None = None,
) -> tuple[Look, ...]:
    """Return the boundaries of an alpha-spending design for any information sequence.

    Args:
        information: at each look, strictly increasing, in any unit.
        spending: the spending function; None is the O'Brien-Fleming type.
        alpha: level of the whole test; with two sides each side spends half of it.
        sides: 2 for a symmetric two-sided test, 1 for a one-sided test without a lower boundary.
        planned: information at which all alpha is spent; None takes the last look's.

    Raises:
        ValueError: information does not grow, or an argument is out of range.

    Source: Lan and DeMets 1983; recursion of Armitage, McPherson and Rowe 1969.
    """
    times = check.increasing("information", information)
    check.probability("alpha", alpha)
    total = float(times[-1]) if planned is None else check.positive("planned", planned)
    path = SpendingPath(spending or Spending(), alpha / 2 if sides == 2 else alpha, sides)
    return path.extend([float(time) for time in times / total]).looks


def wang_tsiatis_boundaries(
    information: check.Numbers, *, delta: float, alpha: float = 0.05, sides: Sides = 2
) -> tuple[float, ...]:
    """Return z boundaries C t^(delta - 1/2) whose crossing probability is alpha, at given looks.

    Args:
        information: at each look, strictly increasing; only ratios matter.
        delta: shape; 1/2 is Pocock, 0 O'Brien-Fleming; allowed is -2 to 1.
        alpha: level of the whole test.
        sides: 2 for a symmetric two-sided test, 1 for a one-sided one.

    Raises:
        ValueError: information does not grow, or an argument is out of range.

    Source: Wang and Tsiatis 1987; Pocock 1977; O'Brien and Fleming 1979.
    """
    times = check.increasing("information", information)
    check.finite("delta", delta, minimum=-2.0, maximum=1.0)
    check.probability("alpha", alpha)
    fractions = times / times[-1]
    shape = fractions ** (delta - 0.5)
    per_side = alpha / 2 if sides == 2 else alpha

    def excess(log_constant: float) -> float:
        crossed = crossing_probability(fractions, np.exp(log_constant) * shape, sides=sides)
        return math.log(crossed / alpha)

    low = -normal_quantile(per_side) / float(shape.max())
    high = -normal_quantile(per_side / times.size) + 1e-9
    if excess(math.log(high)) >= 0.0:
        return tuple(float(high * value) for value in shape)
    constant = math.exp(float(optimize.brentq(excess, math.log(low * 0.999), math.log(high), xtol=1e-11)))
    return tuple(float(constant * value) for value in shape)


def pocock_boundary(looks: int, *, alpha: float = 0.05, sides: Sides = 2) -> float:
    """Return Pocock's constant z boundary for equally spaced looks.

    Raises:
        ValueError: looks below 1 or alpha out of range.
    """
    steps = np.arange(1, check.whole("looks", looks, minimum=1) + 1)
    return wang_tsiatis_boundaries(steps, delta=0.5, alpha=alpha, sides=sides)[-1]


def obrien_fleming_boundaries(looks: int, *, alpha: float = 0.05, sides: Sides = 2) -> tuple[float, ...]:
    """Return O'Brien and Fleming's z boundaries C sqrt(K / k) for equally spaced looks.

    Raises:
        ValueError: looks below 1 or alpha out of range.
    """
    steps = np.arange(1, check.whole("looks", looks, minimum=1) + 1)
    return wang_tsiatis_boundaries(steps, delta=0.0, alpha=alpha, sides=sides)


def crossing_probability(information: check.Numbers, boundaries: check.Numbers, *, sides: Sides = 2) -> float:
    """Return the chance, without any effect, that a z statistic ever reaches its boundary.

    With a constant 1.96 this is what naive peeking really costs.

    Raises:
        ValueError: information does not grow, lengths differ, or a boundary is not positive.
    """
    times = check.increasing("information", information)
    bounds = check.vector("boundaries", boundaries)
    check.same_size("information", times, "boundaries", bounds)
    if bool(np.any(bounds <= 0)):
        raise ValueError(f"boundaries={float(bounds.min())}: allowed are z values > 0")
    crossed = 0.0
    state: Stopped | None = None
    for time, bound in zip(times.tolist(), bounds.tolist(), strict=True):
        arrival = begin(time) if state is None else state.arrive(time, NULL_REACH)
        score = bound * math.sqrt(time)
        crossed += arrival.above(score) * (2.0 if sides == 2 else 1.0)
        state = arrival.stop(-score if sides == 2 else -math.inf, score)
    return crossed


def naive_peeking_error(looks: int, *, alpha: float = 0.05) -> float:
    """Return the real error of testing at level alpha (two-sided) at each of equally spaced looks.

    Raises:
        ValueError: looks below 1 or alpha out of range.

    Source: Armitage, McPherson and Rowe 1969.
    """
    count = check.whole("looks", looks, minimum=1)
    z = -normal_quantile(check.probability("alpha", alpha) / 2)
    return crossing_probability(np.arange(1, count + 1), np.full(count, z))
