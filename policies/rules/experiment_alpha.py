"""Experiment accepts too many false winners."""

from __future__ import annotations

from policies._logic import AtMost, Present, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity

RULE = ObjectRule(
    id="experiment-alpha",
    title="experiment accepts too many false winners",
    severity=Severity.MEDIUM,
    frameworks=("experiments",),
    kinds=("mlplatform.dev/ABTest",),
    demand=~Present("spec.significanceLevel") | AtMost("spec.significanceLevel", Setting("most")),
    settings={"most": SettingRule(kind="number", default=0.05, meaning="largest probability of a false winner")},
    why="The share of false winners adds up over all experiments of a year.",
    how="Lower spec.significanceLevel.",
    example=Example(of="ABTest", fails={"spec.significanceLevel": 0.2}, neighbour={"spec.significanceLevel": 0.01}),
)
