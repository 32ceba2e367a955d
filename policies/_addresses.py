"""Which ranges of addresses are everybody's."""

from __future__ import annotations

from policies._demand import Demand
from policies._logic import Matches


def everybody(path: str) -> Demand:
    """Demand that a range holds at least half of all addresses: `0.0.0.0/0`, `::/0`, and a half written by itself."""
    return Matches(path, "/[01]$")
