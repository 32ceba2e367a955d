"""Rights are given to a person."""

from __future__ import annotations

from policies._logic import Present
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-iam-user-policy",
    title="rights are given to a single user",
    severity=Severity.MEDIUM,
    frameworks=("AWS FSBP IAM.2",),
    kinds=("aws:iam/UserPolicy", "aws:iam/UserPolicyAttachment", "aws:iam/PolicyAttachment"),
    demand=~Present("user") & ~Present("users"),
    why="Rights of single users are forgotten when people move on; roles are taken for an hour.",
    how="Attach the policy to a role or a group.",
    example=Example(of="PolicyAttachment", fails={"users": ["robot"]}, neighbour={"roles": ["user"]}),
)
