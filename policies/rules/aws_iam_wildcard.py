"""IAM policy allows every action."""

from __future__ import annotations

from policies._logic import Filled, Matches
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-iam-wildcard",
    title="IAM policy allows every action",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP IAM.1", "AWS FSBP IAM.21"),
    kinds=("aws:iam/Policy", "aws:iam/RolePolicy", "aws:iam/UserPolicy", "aws:iam/GroupPolicy"),
    demand=Filled("policy") & ~Matches("policy", '"Action"\\s*:\\s*("\\*"|\\[[^\\]]*"\\*")'),
    why="It includes deleting everything and giving away rights.",
    how="Name the actions.",
    example=Example(
        of="Policy",
        fails={"policy": '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'},
        neighbour={"policy": '{"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}'},
        needed=True,
    ),
)
