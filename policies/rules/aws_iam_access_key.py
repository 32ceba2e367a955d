"""Person or program gets a key that never expires."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-iam-access-key",
    title="person or program gets a key that never expires",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP IAM.3",),
    kinds=("aws:iam/AccessKey",),
    demand=Is("status", "Inactive"),
    why="Long-lived keys end up in laptops and repositories.",
    how="Use roles and short-lived credentials.",
    example=Example(of="AccessKey", fails={"status": "Active"}, neighbour={"user": "other"}, needed=True),
)
