"""IAM policy allows more than it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from policies._iam import allowed, broad_actions, broad_resources, vouched_for
from policies._model import Finding, Resource, Severity, Situated, StackRule, unknown
from policies._paths import MISSING, UNKNOWN, join, read
from policies._samples import iam_policy, thing

_POLICIES = ("aws:iam/Policy", "aws:iam/RolePolicy", "aws:iam/UserPolicy", "aws:iam/GroupPolicy")
_ATTACHMENTS = (
    "aws:iam/RolePolicyAttachment",
    "aws:iam/UserPolicyAttachment",
    "aws:iam/GroupPolicyAttachment",
    "aws:iam/PolicyAttachment",
)
_ROLE = "aws:iam/Role"
_POLICY = "policy"
_ARN = "policyArn"
_ARNS = "managedPolicyArns"
_INLINE = "inlinePolicies"


def check(stack: Situated) -> Iterator[Finding]:
    """Find policies with wildcards that AWS does not force upon them, and attached ones that nobody has vouched for."""
    for resource in stack.of(*_POLICIES):
        yield from _judge_policy(resource, read(resource.properties, _POLICY), _POLICY)
    for resource in stack.of(*_ATTACHMENTS):
        yield from _judge_arn(resource, read(resource.properties, _ARN), _ARN)
    for role in stack.of(_ROLE):
        for place, arn in _items(role, _ARNS):
            yield from _judge_arn(role, arn, place)
        for place, inline in _items(role, _INLINE):
            text = read(inline, _POLICY)
            if text is not MISSING:  # an entry without one says that the role has none
                yield from _judge_policy(role, text, place)


def _items(role: Resource, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what a list of a role holds, with the place; a list that is not known yet is one such item."""
    found = read(role.properties, path)
    if found is UNKNOWN:
        yield path, UNKNOWN
    elif isinstance(found, list):
        yield from ((join(path, str(index)), item) for index, item in enumerate(cast("list[Any]", found)))


def _judge_arn(resource: Resource, arn: Any, place: str) -> Iterator[Finding]:
    if arn is UNKNOWN:
        yield unknown(resource, place)
    elif not vouched_for(str(arn)):
        yield Finding(resource=resource, message=f"nobody has vouched for {arn}", path=place)


def _judge_policy(resource: Resource, text: Any, place: str) -> Iterator[Finding]:
    if text is UNKNOWN:
        yield unknown(resource, place)
        return
    statements = allowed(text) if isinstance(text, str) else None
    if statements is None:
        yield Finding(resource=resource, message="it has no policy that can be read", path=place)
        return
    for statement in statements:
        for action in broad_actions(statement):
            yield Finding(resource=resource, message=f"{statement.sid}: {action} stands for other actions", path=place)
        for action in broad_resources(statement):
            yield Finding(
                resource=resource,
                message=f"{statement.sid}: {action} on everything, although it can be said on what",
                path=place,
            )


RULE = StackRule(
    id="aws-iam-narrow",
    title="IAM policy allows more than it names",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP IAM.21", "AWS Well-Architected SEC03-BP02"),
    why="What is allowed by accident is found by whoever broke in, never by its owner.",
    how="Name actions and resources, and roles that are passed on by more than a wildcard. What AWS cannot narrow is "
    "listed with its reason in policies/_iam.py.",
    check=check,
    concerns=(*_POLICIES, *_ATTACHMENTS, _ROLE),
    fails=(iam_policy("s3:Get*", "arn:aws:s3:::models/*"),),
    passes=(iam_policy("s3:GetObject", "arn:aws:s3:::models/*"),),
    neighbour=(iam_policy("ec2:DescribeSubnets", "*"),),
    unknown=(thing("aws:iam/RolePolicy", "use", {"policy": UNKNOWN}),),
    missing=(thing("aws:iam/RolePolicy", "use", {}),),
)
