"""Images can be replaced under their tag."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-images-immutable",
    title="images can be replaced under their tag",
    severity=Severity.MEDIUM,
    frameworks=("AWS FSBP ECR.2",),
    kinds=("aws:ecr/Repository",),
    demand=Is("imageTagMutability", "IMMUTABLE"),
    why="A pinned version then means something else tomorrow.",
    how="Set imageTagMutability to IMMUTABLE.",
    example=Example(
        of="Repository", fails={"imageTagMutability": "MUTABLE"}, neighbour={"name": "latest"}, needed=True
    ),
    fix={"imageTagMutability": "IMMUTABLE"},
)
