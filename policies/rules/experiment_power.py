"""Experiment would hardly see the effect that it looks for."""

from __future__ import annotations

from policies._logic import AtLeast, Present, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="experiment-power",
    title="experiment would hardly see the effect that it looks for",
    severity=Severity.MEDIUM,
    frameworks=("experiments",),
    kinds=("mlplatform.dev/ABTest",),
    demand=~Present("spec.power") | AtLeast("spec.power", Setting("least")),
    settings={"least": SettingRule(kind="number", default=0.8, meaning="least power")},
    why="An experiment that finds the smallest effect of interest in half of the cases is a coin toss "
    "that costs weeks.",
    how="Raise spec.power; it takes more units or days.",
    example=Example(of="ABTest", fails={"spec.power": 0.5}, neighbour={"spec.power": 0.95}),
)
