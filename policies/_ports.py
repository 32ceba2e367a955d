"""Which ports a rule of a NetworkPolicy opens."""

from __future__ import annotations

from typing import Final

from policies._demand import Demand
from policies._logic import Equal, Every, Filled, Present

SINGLE_PORTS: Final[Demand] = Filled("ports") & Every(
    "ports", Present("port") & (~Present("endPort") | Equal("port", "endPort"))
)
"""Demand that each port is named by itself: a protocol without a port is every port of it, and a range may be all."""
