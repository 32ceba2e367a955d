"""One line per promise: the figure, its Monte-Carlo standard error, the bar, and whether it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A simulated figure next to its bar.

    Attributes:
        promise: what is promised.
        figure: what came out.
        standard_error: Monte-Carlo error of the figure; 0 for exact ones.
        bar: what is allowed.
        holds: whether the figure keeps the promise.
        beside: what a naive rule does, for comparison.
    """

    promise: str
    figure: float
    standard_error: float
    bar: str
    holds: bool
    beside: str = ""

    def __str__(self) -> str:
        mark = "ok  " if self.holds else "FAIL"
        error = f" +- {self.standard_error:.4f}" if self.standard_error else ""
        return f"{mark} {self.promise:<78} {self.figure:.4f}{error}   bar {self.bar}" + (
            f"   ({self.beside})" if self.beside else ""
        )


def at_most(promise: str, hits: int, runs: int, alpha: float, beside: str = "") -> Line:
    """A rate that may exceed alpha by two standard errors of the simulation at most."""
    rate = hits / runs
    error = math.sqrt(alpha * (1 - alpha) / runs)
    return Line(
        promise, rate, error, f"<= {alpha:g} + 2 SE = {alpha + 2 * error:.4f}", rate <= alpha + 2 * error, beside
    )


def at_least(promise: str, hits: int, runs: int, level: float, beside: str = "") -> Line:
    """A rate that must reach a level."""
    rate = hits / runs
    return Line(promise, rate, math.sqrt(rate * (1 - rate) / runs), f">= {level:g}", rate >= level, beside)
