"""Encryption key is never renewed."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-key-rotation",
    title="encryption key is never renewed",
    severity=Severity.LOW,
    frameworks=("AWS FSBP KMS.4",),
    kinds=("aws:kms/Key",),
    demand=Is("enableKeyRotation", True),
    why="A key that leaks once is good for ever.",
    how="Set enableKeyRotation to true.",
    example=Example(of="Key", fails={"enableKeyRotation": False}, neighbour={"description": "key"}, needed=True),
    fix={"enableKeyRotation": True},
)
