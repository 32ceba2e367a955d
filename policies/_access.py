"""What a rule of a role reaches: RBAC knows a resource by its name, and by two wildcards."""

from __future__ import annotations

from typing import Final

from policies._demand import Demand
from policies._logic import Every, OneOf, Some

LISTS_ONLY: Final[Demand] = Every("verbs", OneOf("", ("list", "watch")))
"""Demand that a role's rule allows nothing but listing. Where the API server passes a request on to a node, `get` is
more than reading: over a WebSocket it runs a command."""
READS_ONLY: Final[Demand] = Every("verbs", OneOf("", ("get", "list", "watch")))
"""Demand that a role's rule allows nothing but reading."""


def reaches(group: str, *resources: str) -> Demand:
    """Demand that a role's rule reaches one of a group's resources.

    `*` means every resource and what lies below it, `*/exec` what is called so below any: the API server knows no other
    wildcards, so `pods/*` reaches nothing.
    """
    below = dict.fromkeys(f"*/{name.partition('/')[2]}" for name in resources if "/" in name)
    return Some("apiGroups", OneOf("", (group, "*"))) & Some("resources", OneOf("", (*resources, *below, "*")))
