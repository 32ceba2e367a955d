"""Volume is larger than the budget allows."""

from __future__ import annotations

from policies._logic import AmountAtMost, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="claim-size",
    title="volume is larger than the budget allows",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=("core/PersistentVolumeClaim",),
    demand=AmountAtMost("spec.resources.requests.storage", Setting("largest")),
    settings={"largest": SettingRule(kind="amount", default="1Ti", meaning="largest volume of one claim")},
    why="Volumes grow but never shrink; a slip of one digit is paid for every month.",
    how="Ask for less, or raise `largest` in the configuration.",
    example=Example(
        of="PersistentVolumeClaim",
        fails={"spec.resources.requests.storage": "20Ti"},
        neighbour={"spec.resources.requests.storage": "1024Gi"},
        needed=True,
    ),
)
