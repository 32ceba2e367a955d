"""Random counts as plain numbers."""

from __future__ import annotations

import numpy as np


def binomial(rng: np.random.Generator, n: int, share: float) -> int:
    """Draw one binomial count."""
    return int(np.asarray(rng.binomial(n, share)))
