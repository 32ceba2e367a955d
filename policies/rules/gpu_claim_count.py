"""Claim asks for more GPUs than the budget allows."""

from __future__ import annotations

from policies._logic import AtMost, Demand, Every, Is, Present, Setting
from policies._model import Example, ObjectRule, SettingRule, Severity


def _is_modest(at: str) -> Demand:
    return ~Is(f"{at}allocationMode", "All") & (~Present(f"{at}count") | AtMost(f"{at}count", Setting("most")))


_REQUEST = _is_modest("exactly.") & Every("firstAvailable", _is_modest(""))

RULE = ObjectRule(
    id="gpu-claim-count",
    title="claim asks for more GPUs than the budget allows",
    severity=Severity.HIGH,
    frameworks=("cost",),
    kinds=("resource.k8s.io/ResourceClaimTemplate", "resource.k8s.io/ResourceClaim"),
    demand=Every("spec.spec.devices.requests", _REQUEST) & Every("spec.devices.requests", _REQUEST),
    settings={"most": SettingRule(kind="number", default=8, meaning="most devices of one request")},
    why="A template is claimed anew by every pod, and `All` is whatever a node has; one GPU costs as much as a rack of "
    "small pods.",
    how="Claim a number, and a smaller one, or raise `most` in the configuration.",
    example=Example(
        of="ResourceClaimTemplate",
        fails={"spec.spec.devices.requests.0.exactly.count": 64},
        neighbour={"spec.spec.devices.requests.0.exactly.count": 8},
    ),
)
