"""What a rule of a role reaches: RBAC knows a resource by its name, and by two wildcards."""

from __future__ import annotations

from policies._demand import Demand
from policies._logic import OneOf, Some


def reaches(group: str, *resources: str) -> Demand:
    """Demand that a role's rule reaches one of a group's resources.

    `*` means every resource and what lies below it, `*/exec` what is called so below any: the API server knows no other
    wildcards, so `pods/*` reaches nothing.
    """
    below = dict.fromkeys(f"*/{name.partition('/')[2]}" for name in resources if "/" in name)
    return Some("apiGroups", OneOf("", (group, "*"))) & Some("resources", OneOf("", (*resources, *below, "*")))
