"""What has happened so far: counts per epoch, looks taken, arms dropped. Facts only, no opinions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from ml.experiments import validation as check
from ml.experiments.ratio import RatioSums


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """A stretch of time in which the gateway's weights did not change.

    Attributes:
        started_at: seconds since 1970, when the gateway really had the weights.
        weights: per arm, in whole numbers, zeros included.
        units: per arm, units (users) first seen in this epoch; for the sample ratio.
        metrics: per metric and arm, sums over the units seen in this epoch. An arm that is missing says
            "not known", which is not the same as zero.
    """

    started_at: float
    weights: Mapping[str, int]
    units: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, RatioSums]]

    def __post_init__(self) -> None:
        check.finite("epoch.started_at", self.started_at)
        for arm, weight in self.weights.items():
            check.whole(f"epoch.weights[{arm}]", weight)
        for arm, count in self.units.items():
            check.whole(f"epoch.units[{arm}]", count)


@dataclass(frozen=True, kw_only=True)
class LookRecord:
    """One look at which the planned test spent some of its alpha.

    Attributes:
        at: seconds since 1970.
        fractions: information fraction per treatment at this look.
        crossed: treatments whose primary had crossed the boundary at this look.
        final: whether this look spent all alpha that was left.
    """

    at: float
    fractions: Mapping[str, float]
    crossed: tuple[str, ...] = ()
    final: bool = False

    def __post_init__(self) -> None:
        check.finite("look.at", self.at)
        for arm, fraction in self.fractions.items():
            check.positive(f"look.fractions[{arm}]", fraction)


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything a decision may depend on besides the specification and the time.

    Attributes:
        started_at: seconds since 1970.
        epochs: in order; empty before the first weights are in force.
        looks: of the planned test, in order; append `Decision.look` after each decision that has one.
        dropped: treatments rolled back already.
        last_data_at: when the newest observation was made; None before the first.
        variance_inflation: per metric, factor >= 1 by which sums per epoch understate the variance because
            the same units return in later epochs; 1 where not named.
    """

    started_at: float
    epochs: tuple[EpochRecord, ...] = ()
    looks: tuple[LookRecord, ...] = ()
    dropped: tuple[str, ...] = ()
    last_data_at: float | None = None
    variance_inflation: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        check.finite("history.started_at", self.started_at)
        if self.last_data_at is not None:
            check.finite("history.last_data_at", self.last_data_at)
        for name, factor in self.variance_inflation.items():
            check.finite(f"history.variance_inflation[{name}]", factor, minimum=1.0)
        if any(later.started_at < earlier.started_at for earlier, later in pairwise(self.epochs)):
            raise ValueError("history.epochs: allowed are epochs in the order of their start")
        if any(later.at < earlier.at for earlier, later in pairwise(self.looks)):
            raise ValueError("history.looks: allowed are looks in the order of time")
