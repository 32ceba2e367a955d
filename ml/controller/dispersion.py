"""How much more the share of slow or failed requests varies from moment to moment than chance alone would make it.

Requests of one stretch of time resemble each other: a slow minute slows all of them. Counting each as one independent
observation would understate the variance. The factor is Pearson's chi-square over its degrees of freedom, of the hits
per stretch against the arm's own share in that epoch, pooled over arms and epochs and never below 1.

Source: McCullagh and Nelder 1989, Generalized Linear Models, section 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class OpenStretches:
    """Running sums of the stretches of one arm in the epoch it is in."""

    epoch: int
    count: int = 0
    requests: float = 0.0
    hits: float = 0.0
    squares: float = 0.0
    """Sum of hits squared over requests."""

    @property
    def chi_square(self) -> float:
        """Pearson's statistic; 0 while it has no degrees of freedom."""
        if not self.degrees:
            return 0.0
        share = self.hits / self.requests
        return max(0.0, (self.squares - self.hits * share) / (share * (1.0 - share)))

    @property
    def degrees(self) -> int:
        """Stretches but one; 0 when all or none were hit, since then nothing could vary."""
        return self.count - 1 if self.count > 1 and 0.0 < self.hits < self.requests else 0


@dataclass(frozen=True, kw_only=True)
class Dispersion:
    """Of one metric: what closed epochs gave, and what is open per arm."""

    chi_square: float = 0.0
    degrees: int = 0
    open: Mapping[str, OpenStretches] = field(default_factory=dict[str, OpenStretches])

    def add(self, arm: str, epoch: int, requests: float, hits: float) -> Dispersion:
        """Return the dispersion with one more stretch; stretches of an arm come in the order of time."""
        if requests <= 0:
            return self
        current = self.open.get(arm) or OpenStretches(epoch=epoch)
        closed = self
        if current.epoch != epoch:
            closed = replace(
                self, chi_square=self.chi_square + current.chi_square, degrees=self.degrees + current.degrees
            )
            current = OpenStretches(epoch=epoch)
        grown = OpenStretches(
            epoch=epoch,
            count=current.count + 1,
            requests=current.requests + requests,
            hits=current.hits + hits,
            squares=current.squares + hits * hits / requests,
        )
        return replace(closed, open={**self.open, arm: grown})

    @property
    def factor(self) -> float:
        """By what the variance of independent requests has to be multiplied."""
        degrees = self.degrees + sum(item.degrees for item in self.open.values())
        chi_square = self.chi_square + sum(item.chi_square for item in self.open.values())
        return max(1.0, chi_square / degrees) if degrees else 1.0

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        opened = {arm: [s.epoch, s.count, s.requests, s.hits, s.squares] for arm, s in self.open.items()}
        return {"chi_square": self.chi_square, "degrees": self.degrees, "open": opened}


def read_dispersion(document: Mapping[str, Any]) -> Dispersion:
    """Return what `Dispersion.document` wrote; an empty document is the beginning."""
    opened = {
        arm: OpenStretches(epoch=row[0], count=row[1], requests=row[2], hits=row[3], squares=row[4])
        for arm, row in document.get("open", {}).items()
    }
    return Dispersion(chi_square=document.get("chi_square", 0.0), degrees=document.get("degrees", 0), open=opened)
