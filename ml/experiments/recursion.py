"""The exact distribution of a statistic that is looked at again and again (Armitage, McPherson, Rowe 1969).

With information I_1 < I_2 < ..., the score S_k = Z_k sqrt(I_k) is a random walk with independent normal steps of
variance I_k - I_{k-1}. Stopping when S_k leaves an interval removes the paths outside; what remains is a
sub-density, carried from look to look by numerical integration on Gauss-Legendre panels.

Two ideas make it fast enough for thousands of looks:
- A step of small variance only connects points near each other, so each new density value sums over a short
  window of the old nodes (a banded convolution).
- Drift needs no second recursion: a path that ends in s at information I has likelihood ratio
  exp(theta s - theta^2 I / 2), so that power and expected sample size for every effect come from the one pass
  under no effect ("exponential tilting").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from ml.experiments.validation import FloatArray

NULL_REACH: Final = 8.5
"""Standard deviations kept on each side when only the null matters; the mass outside is below 1e-16."""
TILTED_REACH: Final = 17.0
"""The same where effects of up to about 8 standard errors are read from the null pass."""
_NODES_PER_PANEL: Final = 20
_PANEL_WIDTH: Final = 10.0
"""Width of a panel in standard deviations of the narrowest step next to it."""
_TOLERANCE: Final = 1e-9
"""Of a boundary, on the z scale, before the last Newton step, which squares it."""
_SQRT_2PI: Final = math.sqrt(2.0 * math.pi)
_LARGEST_Z: Final = 37.0
"""Beyond this the normal tail underflows; a boundary here is never crossed."""

_legendre = legendre.leggauss(_NODES_PER_PANEL)
_UNIT_NODES: Final[FloatArray] = np.asarray(_legendre[0], dtype=np.float64)
_UNIT_WEIGHTS: Final[FloatArray] = np.asarray(_legendre[1], dtype=np.float64)


@dataclass(frozen=True)
class Continuing:
    """Paths that have not stopped: mass at nodes of the score scale.

    Attributes:
        information: at which the nodes live.
        nodes: increasing scores.
        mass: quadrature weight times density; sums to the chance of continuing so far.
    """

    information: float
    nodes: FloatArray
    mass: FloatArray

    def tilted(self, drift: float) -> FloatArray:
        """Return the mass under an effect: drift is the expected score per unit of information."""
        return self.mass * np.exp(drift * self.nodes - 0.5 * drift * drift * self.information)

    def arrive(self, information: float) -> Arrival:
        """Take the step to the next look, before anything stops."""
        return Arrival(self, information)


@dataclass(frozen=True)
class Arrival:
    """Paths that reach a look: a mixture of normals around the nodes of the look before."""

    before: Continuing
    information: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the step."""
        return math.sqrt(self.information - self.before.information)

    def above(self, score: float, drift: float = 0.0) -> float:
        """P(not stopped before, S > score) under a drift."""
        return self._tail(score, drift, 1.0)

    def below(self, score: float, drift: float = 0.0) -> float:
        """P(not stopped before, S < score) under a drift."""
        return self._tail(score, drift, -1.0)

    def _tail(self, score: float, drift: float, side: float) -> float:
        steps, mass = self._steps_to(score, drift, side)
        return float(mass @ special.ndtr(-side * steps))

    def _steps_to(self, score: float, drift: float, side: float) -> tuple[FloatArray, FloatArray]:
        """Standardised steps from the nodes to a score, with the nodes' mass, leaving out those out of reach."""
        nodes, deviation = self.before.nodes, self.deviation
        if drift == 0.0:
            edge = int(np.searchsorted(nodes, score - side * NULL_REACH * deviation))
            near = slice(edge, None) if side > 0 else slice(None, edge)
            return (score - nodes[near]) / deviation, self.before.mass[near]
        shift = drift * (self.information - self.before.information)
        return (score - shift - nodes) / deviation, self.before.tilted(drift)

    def density(self, scores: FloatArray, reach: float = NULL_REACH) -> FloatArray:
        """Sub-density of S at increasing scores, under no effect."""
        nodes, mass, deviation = self.before.nodes, self.before.mass, self.deviation
        scale = 1.0 / (deviation * _SQRT_2PI)
        first = np.searchsorted(nodes, scores - reach * deviation)
        last = np.searchsorted(nodes, scores + reach * deviation)
        width = int((last - first).max()) if scores.size else 0
        if width >= 0.6 * nodes.size:
            steps = (scores[:, None] - nodes[None, :]) / deviation
            return scale * (np.exp(-0.5 * steps * steps) @ mass)
        if width == 0:
            return np.zeros_like(scores)
        # Padding keeps the window of the last scores inside the arrays; padded nodes carry no mass.
        index = first[:, None] + np.arange(width)[None, :]
        padded_nodes = np.concatenate([nodes, np.full(width, nodes[-1])])
        padded_mass = np.concatenate([mass, np.zeros(width)])
        steps = (scores[:, None] - padded_nodes[index]) / deviation
        return scale * np.einsum("ij,ij->i", np.exp(-0.5 * steps * steps), padded_mass[index])

    def stop(self, lower: float, upper: float) -> Stopped:
        """Remove the paths outside (lower, upper), given as scores."""
        return Stopped(self, lower, upper)

    def upper_bound_for(self, probability: float, start: float) -> float:
        """Return the score b with P(not stopped before, S > b) = probability, by Newton's method on the log."""
        return self._bound_for(probability, start, 1.0)

    def lower_bound_for(self, probability: float, start: float, drift: float = 0.0) -> float:
        """Return the score a with P(not stopped before, S < a) = probability under a drift."""
        return self._bound_for(probability, start, -1.0, drift)

    def _bound_for(self, probability: float, start: float, side: float, drift: float = 0.0) -> float:
        root = math.sqrt(self.information)
        low, high = -_LARGEST_Z * root, _LARGEST_Z * root
        score = min(max(start, low), high)
        for _ in range(200):
            steps, mass = self._steps_to(score, drift, side)
            tail = float(mass @ special.ndtr(-side * steps))
            density = float(mass @ np.exp(-0.5 * steps * steps)) / (self.deviation * _SQRT_2PI)
            if tail > 0.0 and density > 0.0:
                newton = side * tail * math.log(tail / probability) / density
                if abs(newton) <= _TOLERANCE * root:
                    return score + newton
            else:
                newton = math.inf
            if (tail > probability) == (side > 0):
                low = score
            else:
                high = score
            # Newton from far out may overshoot; halving the bracket is the safe step.
            score = score + newton if low < score + newton < high else 0.5 * (low + high)
            if high - low <= _TOLERANCE * root:
                return score
        return score


@dataclass(frozen=True)
class Stopped:
    """Paths inside the boundaries of a look, not yet put on nodes.

    The nodes are laid when the next look is known, because their spacing must resolve its step.
    """

    arrival: Arrival
    lower: float
    upper: float

    def arrive(self, information: float, reach: float = NULL_REACH) -> Arrival:
        """Take the step to the next look."""
        return Arrival(self.settle(information, reach), information)

    def settle(self, next_information: float, reach: float = NULL_REACH) -> Continuing:
        """Put the remaining paths on nodes fine enough for a step to next_information."""
        here = self.arrival.information
        edge = reach * math.sqrt(here)
        low, high = max(self.lower, -edge), min(self.upper, edge)
        if high <= low:
            return Continuing(here, np.zeros(1), np.zeros(1))
        narrowest = min(self.arrival.deviation, math.sqrt(next_information - here))
        panels = max(1, math.ceil((high - low) / (_PANEL_WIDTH * narrowest)))
        edges = np.linspace(low, high, panels + 1)
        half = 0.5 * (high - low) / panels
        nodes = (edges[:-1, None] + half * (1.0 + _UNIT_NODES[None, :])).ravel()
        weights = np.tile(half * _UNIT_WEIGHTS, panels)
        # Far tails are fed from further away than the bulk: a tilted pass needs the wider window.
        return Continuing(here, nodes, weights * self.arrival.density(nodes, reach))


def begin(information: float) -> Arrival:
    """Return the first look's arrival: all paths start at score zero."""
    return Arrival(Continuing(0.0, np.zeros(1), np.ones(1)), information)
