"""Reads IAM policies, and knows which broad rights AWS leaves no way around: each with its reason."""

from __future__ import annotations

import json
import re
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

_OF_ROLES: Final = frozenset(
    {
        "iam:attachrolepolicy",
        "iam:passrole",
        "iam:putrolepolicy",
        "iam:updateassumerolepolicy",
        "sts:assumerole",
    }
)
"""Actions by which one gets the rights of roles on which they are allowed; in small letters: IAM knows no case."""

AWS_MANAGED: Final[Mapping[str, str]] = {
    "AmazonEKSClusterPolicy": "what the control plane does in the account is AWS's to know",
    "AmazonEKSWorkerNodePolicy": "what a node asks of EKS changes with EKS",
    "AmazonEC2ContainerRegistryPullOnly": "reads images, writes nothing",
    "AmazonEKS_CNI_Policy": "what the network plugin asks of EC2 changes with the plugin",
    "AmazonEBSCSIDriverPolicy": "limited by AWS to disks that the driver has tagged",
}
"""Policies that AWS maintains and that may be attached, by name, with why no own one takes their place."""


_WILDCARD: Final = re.compile(r"[*?]")
_MANAGED_BY_AWS: Final = re.compile(r"^arn:[a-z-]+:iam::aws:policy/")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a policy allows in one statement."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    narrowed: bool
    """Whether a condition limits it."""


def allowed(text: str) -> list[Statement] | None:
    """Return what a policy allows; None if it is none.

    What names only the exceptions (`NotAction`, `NotResource`) allows all the rest: it counts as everything.
    """
    items = allowing(text)
    return None if items is None else [_statement(item) for item in items]


def allowing(text: str) -> list[dict[str, Any]] | None:
    """Return the statements of a policy that allow something, as they are written; None if it is none."""
    try:
        content: object = json.loads(text)
    except ValueError:
        return None
    if not isinstance(content, dict) or "Statement" not in content:
        return None
    items = _tables(cast("dict[str, Any]", content)["Statement"])
    return [item for item in items if item.get("Effect") == "Allow"]


def sid_of(item: Mapping[str, Any]) -> str:
    """Return the name of a statement, for people."""
    return str(item.get("Sid", "without a name"))


def _statement(item: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=sid_of(item),
        actions=texts(item.get("Action", "*")),
        resources=texts(item.get("Resource", "*")),
        narrowed=bool(item.get("Condition")),
    )


def broad_actions(statement: Statement) -> Iterator[str]:
    """Yield the actions that stand for others."""
    yield from (action for action in statement.actions if "*" in action or "?" in action)


def broad_resources(statement: Statement) -> Iterator[str]:
    """Yield the actions that a statement allows on everything although AWS would let it say on what."""
    for action in statement.actions:
        kind = "role/" if action.lower() in _OF_ROLES else ""
        if action not in _NO_RESOURCES and any(_is_everything(resource, kind) for resource in statement.resources):
            yield action


def vouched_for(arn: str) -> bool:
    """Say whether a policy may be attached: an own one, or one of AWS's that is listed here."""
    return _MANAGED_BY_AWS.match(arn) is None or arn.rpartition("/")[2] in AWS_MANAGED


def _is_everything(resource: str, kind: str) -> bool:
    """Say whether an ARN ends in a wildcard before it has named anything, or anything but the kind."""
    if _WILDCARD.search(resource) is None:
        return False
    last = "".join(resource.split(":", 5)[5:])  # `arn:aws:iam::*` has no such part: it means any
    return kind.startswith(_WILDCARD.split(last)[0])


def texts(value: Any) -> tuple[str, ...]:
    """Return what a policy writes as one text or as a list of them."""
    items = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
    return tuple(str(item) for item in items)


def _tables(value: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
