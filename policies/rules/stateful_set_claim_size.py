"""Volume of a StatefulSet is larger than the budget allows."""

from __future__ import annotations

from policies._logic import AmountAtMost, Every, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="stateful-set-claim-size",
    title="volume of a StatefulSet is larger than the budget allows",
    severity=Severity.MEDIUM,
    frameworks=("cost",),
    kinds=("apps/StatefulSet",),
    demand=Every("spec.volumeClaimTemplates", AmountAtMost("spec.resources.requests.storage", Setting("largest"))),
    settings={"largest": SettingRule(kind="amount", default="1Ti", meaning="largest volume of one pod")},
    why="Volumes grow but never shrink; a slip of one digit is paid for every month and replica.",
    how="Ask for less, or raise `largest` in the configuration.",
    example=Example(
        of="StatefulSet",
        fails={"spec.volumeClaimTemplates.0.spec.resources.requests.storage": "20Ti"},
        neighbour={"spec.volumeClaimTemplates.0.spec.resources.requests.storage": "100Gi"},
        needed=True,
    ),
)
