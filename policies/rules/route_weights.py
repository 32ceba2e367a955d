"""Weights of a split may be misread."""

from __future__ import annotations

from policies._logic import AtLeast, AtMost, Every, Matches
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="route-weights",
    title="weights of a split may be misread",
    severity=Severity.HIGH,
    frameworks=("experiments",),
    kinds=("networking.istio.io/VirtualService",),
    when=Matches("metadata.name", "-split$"),
    demand=Every("spec.http", Every("route", AtLeast("weight", 0) & AtMost("weight", 1000))),
    why="A destination without a weight gets none beside others that have one, and all if it is alone.",
    how="Write a weight of 0 to 1000 at every destination.",
    example=Example(
        of="VirtualService",
        fails={"metadata.name": "model-split", "spec.http.0.route.0.weight": 5000},
        neighbour={"metadata.name": "model-split", "spec.http.0.route.0.weight": 0},
        needed=True,
    ),
)
