"""Reads IAM policies, and knows which broad rights AWS leaves no way around: each with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

_NO_RESOURCES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "ec2:DescribeCapacityReservations",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceStatus",
            "ec2:DescribeInstanceTypeOfferings",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplates",
            "ec2:DescribePlacementGroups",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSpotPriceHistory",
            "ec2:DescribeSubnets",
        ),
        "AWS lets nobody narrow what EC2 describes",
    ),
    "pricing:GetProducts": "the public price list has no resources",
}
"""Actions that AWS allows on every resource or on none, with why."""

AWS_MANAGED: Final[Mapping[str, str]] = {
    "AmazonEKSClusterPolicy": "what the control plane does in the account is AWS's to know",
    "AmazonEKSWorkerNodePolicy": "what a node asks of EKS changes with EKS",
    "AmazonEC2ContainerRegistryPullOnly": "reads images, writes nothing",
    "AmazonEKS_CNI_Policy": "what the network plugin asks of EC2 changes with the plugin",
    "AmazonEBSCSIDriverPolicy": "limited by AWS to disks that the driver has tagged",
}
"""Policies that AWS maintains and that may be attached, by name, with why no own one takes their place."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a policy allows in one statement."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    narrowed: bool
    """Whether a condition limits it."""


def allowed(text: str) -> list[Statement] | None:
    """Return what a policy allows; None if it is none."""
    try:
        content: object = json.loads(text)
    except ValueError:
        return None
    if not isinstance(content, dict) or "Statement" not in content:
        return None
    return [
        Statement(
            sid=str(item.get("Sid", "without a name")),
            actions=_texts(item.get("Action", "*")),
            resources=_texts(item.get("Resource", ())),
            narrowed=bool(item.get("Condition")),
        )
        for item in _tables(cast("dict[str, Any]", content)["Statement"])
        if item.get("Effect") == "Allow"
    ]


def broad_actions(statement: Statement) -> Iterator[str]:
    """Yield the actions that stand for others."""
    yield from (action for action in statement.actions if "*" in action or "?" in action)


def broad_resources(statement: Statement) -> Iterator[str]:
    """Yield the actions that a statement allows on everything although AWS would let it say on what."""
    if "*" in statement.resources:
        yield from (action for action in statement.actions if action not in _NO_RESOURCES)


def _texts(value: Any) -> tuple[str, ...]:
    items = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
    return tuple(str(item) for item in items)


def _tables(value: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
