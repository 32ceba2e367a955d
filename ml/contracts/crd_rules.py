"""What Kubernetes itself can check of an `ABTest` beyond types and limits, in its expression language (CEL).

The same things as `AbTestSpec` checks, so that `kubectl apply` refuses at once what the API refuses; what needs
knowledge of the platform is left to admission. Rules say "not (the other way round)" where a comparison with a
missing field would fail.
"""

from __future__ import annotations

from typing import Any, Final

from ml.contracts import STABLE_SLOT

JsonObject = dict[str, Any]
_NAME: Final = "(has({0}.name) ? {0}.name : {0}.kind)"
"""Of a guardrail; those that the gateway counts are called by their kind if they have no name."""
_AGGREGATION: Final = "(has({0}.aggregation) ? {0}.aggregation : 'mean')"


def _rule(rule: str, message: str, *, field: str | None = None) -> JsonObject:
    """Return one validation. Messages are fixed: a number in a message exceeds the budget that Kubernetes allows."""
    return {
        "rule": rule,
        "message": message,
        **({"fieldPath": field} if field else {}),
        "reason": "FieldValueInvalid",
    }


def spec_rules() -> list[JsonObject]:
    """Return what has to hold between the fields of a spec."""
    return [*_arm_rules(), *_name_rules(), *_aggregation_rules(), *_primary_rules(), *_time_rules(), *_fixed_rules()]


def fixed(field: str) -> JsonObject:
    """Return the rule of a field that must not change: an experiment's promises are made before it starts."""
    return _rule("self == oldSelf", f"{field} cannot change once the experiment exists; create a new one")


def _arm_rules() -> list[JsonObject]:
    total = "self.arms.map(a, double(a.weightPercent)).sum()"
    return [
        _rule(
            f"self.arms[0].slot == '{STABLE_SLOT}'",
            f"arms[0].slot: allowed is {STABLE_SLOT}, the control",
            field=".arms",
        ),
        _rule(
            "self.arms.all(a, self.arms.exists_one(b, b.slot == a.slot))",
            "allowed is slots that differ",
            field=".arms",
        ),
        _rule(
            f"{total} > 99.999999 && {total} < 100.000001",
            "allowed is weightPercent that sum to 100",
            field=".arms",
        ),
        _rule(
            "self.holdoutPercent * 10.0 - double(int(self.holdoutPercent * 10.0 + 0.5)) < 0.000001 && "
            "double(int(self.holdoutPercent * 10.0 + 0.5)) - self.holdoutPercent * 10.0 < 0.000001",
            "allowed is a multiple of 0.1",
            field=".holdoutPercent",
        ),
    ]


def _name_rules() -> list[JsonObject]:
    g, h = _NAME.format("g"), _NAME.format("h")
    return [
        _rule(
            f"self.guardrails.all(g, self.guardrails.exists_one(h, {h} == {g}))",
            "allowed is names that differ",
            field=".guardrails",
        ),
        _rule(
            "self.secondary.all(s, s.name != self.primary.name && self.secondary.exists_one(t, t.name == s.name))",
            "allowed is names that differ, also from the primary's",
            field=".secondary",
        ),
        _rule(
            f"self.guardrails.all(g, g.kind == 'outcome' || ({g} != self.primary.name && "
            f"self.secondary.all(s, s.name != {g})))",
            "allowed is a name that no reported metric has",
            field=".guardrails",
        ),
    ]


def _aggregation_rules() -> list[JsonObject]:
    g, own, theirs = _NAME.format("g"), _AGGREGATION.format("g"), _AGGREGATION.format("s")
    message = "aggregation: allowed is the same for the same metric"
    return [
        _rule(
            f"self.guardrails.all(g, g.kind != 'outcome' || {g} != self.primary.name || "
            f"{own} == self.primary.aggregation)",
            message,
            field=".guardrails",
        ),
        _rule(
            f"self.guardrails.all(g, g.kind != 'outcome' || self.secondary.all(s, s.name != {g} || {theirs} == {own}))",
            message,
            field=".guardrails",
        ),
    ]


def _primary_rules() -> list[JsonObject]:
    proportion = "has(self.primary.standardDeviation) || "
    return [
        _rule(
            f"{proportion}(self.primary.baseline > 0.0 && self.primary.baseline < 1.0)",
            "allowed is a number > 0 and < 1 unless standardDeviation is given",
            field=".primary.baseline",
        ),
        _rule(
            f"{proportion}self.primary.minimumEffect <= "
            "(self.primary.better == 'increase' ? 1.0 - self.primary.baseline : self.primary.baseline)",
            "allowed is what keeps a proportion between 0 and 1 (or give standardDeviation)",
            field=".primary.minimumEffect",
        ),
    ]


def _time_rules() -> list[JsonObject]:
    return [
        _rule(
            "self.ramp.durationSeconds < self.durationSeconds",
            "allowed is less than the experiment's durationSeconds",
            field=".ramp.durationSeconds",
        ),
        _rule(
            "self.ramp.durationSeconds == 0 || "
            f"self.arms.all(a, a.slot == '{STABLE_SLOT}' || a.weightPercent <= double(self.ramp.steps + 1))",
            "allowed is at least the largest weightPercent of a treatment less 1, so that a step moves at most 1 %",
            field=".ramp.steps",
        ),
        _rule(
            "self.noData.timeoutSeconds >= self.noData.staleAfterSeconds",
            "allowed is at least staleAfterSeconds",
            field=".noData.timeoutSeconds",
        ),
    ]


def _fixed_rules() -> list[JsonObject]:
    """A field that may be left out must not come or go either."""
    return [
        _rule(
            "has(self.expectedUnitsPerDay) == has(oldSelf.expectedUnitsPerDay)",
            "expectedUnitsPerDay cannot change once the experiment exists; create a new one",
        )
    ]
