"""IAM policy allows more than it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies._iam import AWS_MANAGED, allowed, broad_actions, broad_resources
from policies._model import Finding, Resource, Severity, Situated, StackRule, unknown
from policies._paths import UNKNOWN, read
from policies._samples import iam_policy, thing

_POLICIES = ("aws:iam/Policy", "aws:iam/RolePolicy", "aws:iam/UserPolicy")
_ATTACHMENTS = ("aws:iam/RolePolicyAttachment", "aws:iam/UserPolicyAttachment")
_POLICY = "policy"
_ARN = "policyArn"
_OF_AWS = "arn:aws:iam::aws:policy/"


def check(stack: Situated) -> Iterator[Finding]:
    """Find policies with wildcards that AWS does not force upon them, and attached ones that nobody has vouched for."""
    for resource in stack.of(*_POLICIES):
        yield from _judge_policy(resource, read(resource.properties, _POLICY))
    for resource in stack.of(*_ATTACHMENTS):
        arn = read(resource.properties, _ARN)
        if arn is UNKNOWN:
            yield unknown(resource, _ARN)
        elif str(arn).startswith(_OF_AWS) and str(arn).rpartition("/")[2] not in AWS_MANAGED:
            yield Finding(resource=resource, message=f"nobody has vouched for {arn}", path=_ARN)


def _judge_policy(resource: Resource, text: Any) -> Iterator[Finding]:
    if text is UNKNOWN:
        yield unknown(resource, _POLICY)
        return
    statements = allowed(text) if isinstance(text, str) else None
    if statements is None:
        yield Finding(resource=resource, message="it has no policy that can be read", path=_POLICY)
        return
    for statement in statements:
        for action in broad_actions(statement):
            yield Finding(
                resource=resource, message=f"{statement.sid}: {action} stands for other actions", path=_POLICY
            )
        for action in broad_resources(statement):
            yield Finding(
                resource=resource,
                message=f"{statement.sid}: {action} on everything, although it can be said on what",
                path=_POLICY,
            )


RULE = StackRule(
    id="aws-iam-narrow",
    title="IAM policy allows more than it names",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP IAM.21", "AWS Well-Architected SEC03-BP02"),
    why="What is allowed by accident is found by whoever broke in, never by its owner.",
    how="Name actions and resources. What AWS cannot narrow is listed with its reason in policies/_iam.py.",
    check=check,
    concerns=(*_POLICIES, *_ATTACHMENTS),
    fails=(iam_policy("s3:Get*", "arn:aws:s3:::models/*"),),
    passes=(iam_policy("s3:GetObject", "arn:aws:s3:::models/*"),),
    neighbour=(iam_policy("ec2:DescribeSubnets", "*"),),
    unknown=(thing("aws:iam/RolePolicy", "use", {"policy": UNKNOWN}),),
    missing=(thing("aws:iam/RolePolicy", "use", {}),),
)
