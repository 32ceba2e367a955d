"""Bucket may be made public."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-bucket-public-access",
    title="bucket may be made public",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP S3.1", "AWS FSBP S3.8"),
    kinds=("aws:s3/BucketPublicAccessBlock",),
    demand=Is("blockPublicAcls", True)
    & Is("blockPublicPolicy", True)
    & Is("ignorePublicAcls", True)
    & Is("restrictPublicBuckets", True),
    why="Training data and models would be one wrong policy away from everybody.",
    how="Set all four properties to true.",
    example=Example(
        of="BucketPublicAccessBlock",
        fails={"blockPublicPolicy": False},
        neighbour={"bucket": "public-models"},
        needed=True,
    ),
    fix={"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True},
)
