"""The spending path of a running test, remembered between decisions.

A decision only knows the information fractions of earlier looks. The path of boundaries follows from them; it is
kept in memory so that the next look costs one step of the recursion instead of all of them. Forgetting it
changes nothing but the time: the same fractions always give the same path, to the last bit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from ml.experiments.boundaries import SpendingPath
from ml.experiments.spending import Spending

SMALLEST_INCREMENT: Final = 1e-3
"""Information between two looks as a share of the plan; denser looks change nothing but the work."""
_REMEMBERED: Final = 4096

_Key = tuple[Spending, float, tuple[float, ...]]
_paths: OrderedDict[_Key, SpendingPath] = OrderedDict()
_lock = threading.Lock()


def spending_path(spending: Spending, alpha: float, fractions: tuple[float, ...]) -> SpendingPath:
    """Return the one-sided path after looks at the given information fractions.

    Raises:
        ValueError: fractions do not grow.
    """
    key = (spending, alpha, fractions)
    with _lock:
        known = _paths.get(key)
        shorter = _paths.get((spending, alpha, fractions[:-1])) if fractions else None
    if known is None:
        start = SpendingPath(spending, alpha, 1)
        known = shorter.next(fractions[-1]) if shorter is not None else start.extend(list(fractions))
        with _lock:
            _paths[key] = known
            if len(_paths) > _REMEMBERED:
                _paths.popitem(last=False)
    return known


def forget_paths() -> None:
    """Drop all remembered paths (for tests and measurements)."""
    with _lock:
        _paths.clear()
