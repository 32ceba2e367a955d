"""Bucket is readable for everybody."""

from __future__ import annotations

from policies._logic import Matches
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-bucket-acl",
    title="bucket is readable for everybody",
    severity=Severity.CRITICAL,
    frameworks=("AWS FSBP S3.2", "AWS FSBP S3.3"),
    kinds=("aws:s3/Bucket", "aws:s3/BucketAcl"),
    demand=~Matches("acl", "^(public-read|public-read-write|authenticated-read)$"),
    why="Everybody can read what lies in it, with `write` also change it.",
    how="Remove the acl.",
    example=Example(of="Bucket", fails={"acl": "public-read"}, neighbour={"acl": "private"}),
)
