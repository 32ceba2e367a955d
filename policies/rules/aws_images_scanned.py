"""Images are not scanned."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="aws-images-scanned",
    title="images are not scanned",
    severity=Severity.LOW,
    frameworks=("AWS FSBP ECR.1",),
    kinds=("aws:ecr/Repository",),
    demand=Is("imageScanningConfiguration.scanOnPush", True),
    why="Known flaws are found when somebody uses them.",
    how="Set scanOnPush.",
    example=Example(
        of="Repository", fails={"imageScanningConfiguration.scanOnPush": False}, neighbour={"name": "scan"}, needed=True
    ),
    fix={"imageScanningConfiguration.scanOnPush": True},
)
