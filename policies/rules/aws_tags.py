"""Resource has no owner or cost centre."""

from __future__ import annotations

from policies._logic import Filled
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-tags",
    title="resource has no owner or cost centre",
    severity=Severity.LOW,
    frameworks=("cost",),
    kinds=(
        "aws:s3/Bucket",
        "aws:rds/Instance",
        "aws:rds/Cluster",
        "aws:eks/Cluster",
        "aws:ebs/Volume",
        "aws:kms/Key",
        "aws:ecr/Repository",
    ),
    demand=Filled("tags.owner") & Filled("tags.cost-center"),
    why="Nobody can say who pays for it, or whether it may be deleted.",
    how="Set the tags owner and cost-center.",
    example=Example(of="Bucket", fails={"tags.owner": ""}, neighbour={"tags.stage": "dev"}, needed=True),
)
