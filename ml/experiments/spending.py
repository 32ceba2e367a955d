"""Alpha-spending functions: how much of the error may be used up by the time a share of information is in.

With a spending function neither the number nor the times of the looks need to be known in advance, as long as
they do not depend on the effect seen (Lan and DeMets 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from ml.experiments import validation as check
from ml.experiments.distributions import normal_cdf, normal_quantile

SpendingFamily = Literal["obrien-fleming", "pocock", "power", "hwang-shih-decani"]
_FAMILIES: Final[tuple[SpendingFamily, ...]] = ("obrien-fleming", "pocock", "power", "hwang-shih-decani")


@dataclass(frozen=True)
class Spending:
    """A spending function.

    Attributes:
        family: "obrien-fleming" spends late, 2 (1 - Phi(z_{alpha/2} / sqrt t)); "pocock" evenly,
            alpha ln(1 + (e - 1) t); "power" alpha t^parameter; "hwang-shih-decani"
            alpha (1 - exp(-parameter t)) / (1 - exp(-parameter)).
        parameter: rho > 0 of "power", gamma of "hwang-shih-decani"; not used by the others.

    Raises:
        ValueError: an unknown family or a parameter out of range.

    Source: Lan and DeMets 1983; Kim and DeMets 1987; Hwang, Shih and DeCani 1990.
    """

    family: SpendingFamily = "obrien-fleming"
    parameter: float = 1.0

    def __post_init__(self) -> None:
        check.choice("family", self.family, _FAMILIES)
        if self.family == "power":
            check.positive("parameter", self.parameter)
        if self.family == "hwang-shih-decani":
            check.finite("parameter", self.parameter, minimum=-40.0, maximum=40.0)

    def spent(self, fraction: float, alpha: float) -> float:
        """Return the error spent when `fraction` of the planned information is in.

        Args:
            fraction: above 0; anything beyond 1 counts as 1.
            alpha: error of one side of the test (half of a two-sided level).

        Raises:
            ValueError: an argument is out of range.
        """
        t = min(1.0, check.positive("fraction", fraction))
        check.probability("alpha", alpha)
        if t == 1.0:
            return alpha
        if self.family == "obrien-fleming":
            return 2.0 * normal_cdf(normal_quantile(alpha / 2.0) / math.sqrt(t))
        if self.family == "pocock":
            return alpha * math.log1p((math.e - 1.0) * t)
        if self.family == "power" or self.parameter == 0.0:
            return alpha * t ** (self.parameter if self.family == "power" else 1.0)
        return alpha * math.expm1(-self.parameter * t) / math.expm1(-self.parameter)


OBRIEN_FLEMING: Final = Spending("obrien-fleming")
POCOCK: Final = Spending("pocock")
