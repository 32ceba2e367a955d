"""Evidence that one arm gets more than its share of units or events, exact under changing weights.

Each unit (or event) falls in arm a with the chance that the weights of its epoch say. The alternative
multiplies the arm's odds by exp(tilt). The likelihood ratio of a tilt is a martingale under the null whatever
the weights were and however they changed, and so is any average over tilts. `srm` uses it for users,
`rates` for events such as errors.
"""

from __future__ import annotations

import numpy as np

from ml.experiments import validation as check


def log_tilt_ratio(
    in_arm: check.Numbers,
    in_all: check.Numbers,
    weights: check.Numbers,
    tilts: check.FloatArray,
    null_tilt: float = 0.0,
) -> check.FloatArray:
    """Return the log likelihood ratio of each tilt against the null tilt, over all epochs.

    Args:
        in_arm: counts in the arm, per epoch.
        in_all: counts in all arms, per epoch.
        weights: the arm's share, per epoch.
        tilts: log odds ratios to test.
        null_tilt: log odds ratio under the null; 0 is "as the weights say".
    """
    x, n, w = (np.asarray(part, dtype=np.float64)[:, None] for part in (in_arm, in_all, weights))
    tilted = x * tilts[None, :] - n * np.log1p(w * np.expm1(tilts)[None, :])
    null = x * null_tilt - n * np.log1p(w * np.expm1(null_tilt))
    return np.asarray((tilted - null).sum(axis=0), dtype=np.float64)
