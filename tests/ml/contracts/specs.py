"""Specs of `ABTest`, good and bad; every bad one says which field is wrong and what the message must hold."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

JsonObject = dict[str, Any]
MODEL: Final = "content_quality_model"
SLOTS: Final = {MODEL: ("stable", "candidate-a", "candidate-b")}


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
LATENCY: Final = {"kind": "latency"}
ERRORS: Final = {"kind": "errors"}
CORRECT: Final = {"kind": "outcome", "name": "correct"}
GUARDRAILS: Final = [LATENCY, ERRORS, CORRECT]


def good() -> JsonObject:
    """A spec that is admitted."""
    return {
        "model": MODEL,
        "arms": [{"slot": "stable", "weightPercent": 50}, {"slot": "candidate-a", "weightPercent": 50}],
        "ramp": {"durationSeconds": 3600, "steps": 60},
        "primary": {"name": "converted", "minimumEffect": 0.02, "baseline": 0.1},
        "secondary": [{"name": "rating"}],
        "guardrails": copy.deepcopy(GUARDRAILS),
        "noData": {"staleAfterSeconds": 120, "timeoutSeconds": 3600},
        "approval": {"required": False, "timeoutSeconds": 86400},
        "shadow": {"enabled": False, "durationSeconds": 600, "samplePercent": 10},
        "durationSeconds": 1209600,
        "expectedUnitsPerDay": 20000,
    }


@dataclass(frozen=True)
class Bad:
    """What is changed in the good spec, the field that must be named, and what the message must hold."""

    changes: Mapping[str, object]
    field: str
    says: str
    server: bool = True
    """Whether an API server has to refuse it too, with the definition alone."""

    @property
    def name(self) -> str:
        """For people who read test results."""
        return re.sub(r"[^\w.=,\[\]-]+", "", ",".join(f"{path}={value}" for path, value in self.changes.items()))[:90]

    def document(self) -> JsonObject:
        """The good spec with the changes."""
        return changed(self.changes)


def changed(changes: Mapping[str, object]) -> JsonObject:
    """Return the good spec with some fields set, or removed if the value is ABSENT."""
    document = good()
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
        target: Any = document
        for part in parents:
            target = target[part]
        if value is ABSENT:
            del target[last]
        else:
            target[last] = copy.deepcopy(value)
    return document


def _one(path: str, value: object, says: str, *, field: str | None = None, server: bool = True) -> Bad:
    return Bad({path: value}, f"spec.{field or path}", says, server)


_NUMBERS: Final[Mapping[str, tuple[list[object], str]]] = {
    "arms[1].weightPercent": ([0, -1, 0.05, 100, 1e9], ">= 0.1 and < 100"),
    "ramp.durationSeconds": ([-1, 2_592_001], ">= 0 and <= 2592000"),
    "ramp.steps": ([0, -5, 1001], ">= 1 and <= 1000"),
    "primary.minimumEffect": ([0, -0.1, 1e10], "> 0 and <= 1000000000"),
    "primary.baseline": ([-1e10, 1e10], ">= -1000000000 and <= 1000000000"),
    "primary.standardDeviation": ([0, -1, 1e10], "> 0 and <= 1000000000"),
    "durationSeconds": ([0, 59, -1, 31_536_001], ">= 60 and <= 31536000"),
    "expectedUnitsPerDay": ([0, -1, 10**13], "> 0 and <= 1000000000000"),
    "significanceLevel": ([0, -0.05, 0.5, 1], ">= 0.0001 and < 0.5"),
    "power": ([0, 0.49, 1, 80], ">= 0.5 and <= 0.999"),
    "minSampleSize": ([1, 0, -1, 100_000_001], ">= 2 and <= 100000000"),
    "reconcileIntervalSeconds": ([0, -30, 3601], ">= 1 and <= 3600"),
    "attributionWindowSeconds": ([0, -1, 2_592_001], ">= 1 and <= 2592000"),
    "noData.staleAfterSeconds": ([9, 0, 86_401], ">= 10 and <= 86400"),
    "noData.timeoutSeconds": ([9, -1, 2_592_001], ">= 10 and <= 2592000"),
    "approval.timeoutSeconds": ([59, 2_592_001], ">= 60 and <= 2592000"),
    "shadow.durationSeconds": ([9, 604_801], ">= 10 and <= 604800"),
    "shadow.samplePercent": ([0, -1, 100.5], "> 0 and <= 100"),
    "holdoutPercent": ([-1, 50.1], ">= 0 and <= 50"),
    "guardrails[0].exceedancePercent": ([0, 100], "> 0 and < 100"),
    "guardrails[1].limitPercent": ([0, 100, -3], "> 0 and < 100"),
    "guardrails[2].marginPercent": ([-1, 1001], ">= 0 and <= 1000"),
}
_WHOLE: Final = (
    "ramp.durationSeconds",
    "ramp.steps",
    "durationSeconds",
    "expectedUnitsPerDay",
    "minSampleSize",
    "reconcileIntervalSeconds",
    "attributionWindowSeconds",
    "noData.staleAfterSeconds",
    "noData.timeoutSeconds",
    "approval.timeoutSeconds",
    "shadow.durationSeconds",
)
_WORDS: Final[Mapping[str, str]] = {
    "unit": "one of userHeader, userCookie, request",
    "mode": "one of planned, openEnded",
    "primary.better": "one of increase, decrease",
    "primary.aggregation": "one of mean, any, sum",
    "secondary[0].aggregation": "one of mean, any, sum",
    "guardrails[2].harmful": "one of increase, decrease",
    "guardrails[2].aggregation": "one of mean, any, sum",
}
_FLAGS: Final = ("paused", "approval.required", "shadow.enabled", "guardrails[2].proof")
_OBJECTS: Final = ("primary", "ramp", "noData", "approval", "shadow", "arms[0]", "secondary[0]", "guardrails[1]")
_LISTS: Final = ("arms", "secondary", "guardrails")
_SECTIONS: Final = (
    "",
    "ramp.",
    "primary.",
    "noData.",
    "approval.",
    "shadow.",
    "arms[0].",
    "secondary[0].",
    "guardrails[0].",
)
_METRICS: Final = ("primary.name", "secondary[0].name", "guardrails[2].name")


def _wrong_types() -> Iterator[Bad]:
    for path, (values, limits) in _NUMBERS.items():
        kind = "a whole number" if path in _WHOLE else "a finite number"
        for value in values:
            yield _one(path, value, limits)
        yield _one(path, "5", kind)
        yield _one(path, True, kind)
    for path in _WHOLE:
        yield _one(path, 100.5, "a whole number")
    for path in ("power", "primary.baseline", "arms[0].weightPercent"):
        yield _one(path, float("nan"), "a finite number", server=False)
        yield _one(path, float("inf"), "a finite number", server=False)
    for path, words in _WORDS.items():
        yield _one(path, "sideways", words)
        yield _one(path, 1, words)
        yield _one(path, "", words)
    for path in _FLAGS:
        yield _one(path, 1, "true or false")
        yield _one(path, "true", "true or false")
    for path in _OBJECTS:
        yield _one(path, "text", "an object")
        yield _one(path, [], "an object")
        yield _one(path, None, "an object", server=False)
    for path in _LISTS:
        yield _one(path, {}, "a list")
        yield _one(path, "text", "a list")


def _wrong_names() -> Iterator[Bad]:
    for section in _SECTIONS:
        yield _one(f"{section}colour", "red", "one of the fields")
    yield _one("min_sample_size", 2000, "one of the fields", server=True)
    for value in ("", "Upper", "has space", "x", "a-b", "1st", "trailing_", "m" * 37, 7):
        yield _one("model", value, "a text of at most 36 characters that matches")
    for value in ("", "Stable", "a b", "-a", "a-", "s" * 17, 3):
        yield _one("arms[1].slot", value, "a text of at most 16 characters that matches")
    for path in _METRICS:
        for value in ("", "Has Upper", "a-b", "9a", "m" * 64, 5):
            yield _one(path, value, "a text of at most 63 characters that matches")
    for path in ("model", "primary", "primary.name", "primary.minimumEffect", "primary.baseline"):
        yield _one(path, ABSENT, "is missing")
    for path in ("arms[1].slot", "arms[0].weightPercent", "secondary[0].name"):
        yield _one(path, ABSENT, "is missing")
    yield _one("guardrails[2].name", ABSENT, "is missing")
    yield _one("guardrails[0].kind", ABSENT, "one of errors, latency, outcome")
    yield _one("guardrails[0].kind", "throughput", "one of errors, latency, outcome")
    yield _one("guardrails[0].limitMillis", 99, "one of 5, 10, 25, 50, 100")
    yield _one("guardrails[0].limitMillis", "100", "one of 5, 10, 25, 50, 100")
    yield _one("guardrails[0].limitPercent", 5, "one of the fields")
    yield _one("guardrails[1].limitMillis", 100, "one of the fields")
    yield _one("guardrails[2].exceedancePercent", 5, "one of the fields")
    yield _one("guardrails[1].proof", True, "one of the fields")


def _arms(*shares: tuple[str, float]) -> list[JsonObject]:
    return [{"slot": slot, "weightPercent": weight} for slot, weight in shares]


def _wrong_together() -> Iterator[Bad]:
    many = _arms(("stable", 92), *((f"candidate-{letter}", 1) for letter in "abcdefgh"))
    for arms, field, says in (
        ([], "arms", "a list of 2 to 8 entries"),
        (_arms(("stable", 99)), "arms", "a list of 2 to 8 entries"),
        (many, "arms", "a list of 2 to 8 entries"),
        (_arms(("candidate-a", 50), ("stable", 50)), "arms[0].slot", "stable, the control"),
        (_arms(("candidate-a", 50), ("candidate-b", 50)), "arms[0].slot", "stable, the control"),
        (_arms(("stable", 50), ("stable", 50)), "arms", "slots that differ"),
        (_arms(("stable", 50), ("candidate-a", 25), ("candidate-a", 25)), "arms", "slots that differ"),
        (_arms(("stable", 50), ("candidate-a", 49)), "arms", "they sum to 99"),
        (_arms(("stable", 50), ("candidate-a", 50.5)), "arms", "they sum to 100.5"),
        (_arms(("stable", 33.3), ("candidate-a", 33.3), ("candidate-b", 33.3)), "arms", "they sum to 99.9"),
    ):
        yield _one("arms", arms, says, field=field)
    yield _one("holdoutPercent", 0.05, "a multiple of 0.1")
    yield _one("holdoutPercent", 12.34, "a multiple of 0.1")
    yield _one("guardrails", [LATENCY, LATENCY], "names that differ")
    yield _one("guardrails", [LATENCY, {"kind": "errors", "name": "latency"}], "names that differ")
    yield _one("guardrails", [{"kind": "outcome", "name": f"m{k}"} for k in range(11)], "a list of 0 to 10 entries")
    yield _one("guardrails", [{"kind": "errors", "name": "converted"}], "no reported metric has")
    yield _one("guardrails", [{"kind": "latency", "name": "rating"}], "no reported metric has")
    yield _one("primary.name", "latency", "no reported metric has", field="guardrails")
    yield _one("secondary", [{"name": "errors"}], "no reported metric has", field="guardrails")
    yield _one("secondary", [{"name": "a1"}, {"name": "a1"}], "names that differ")
    yield _one("secondary", [{"name": "converted"}], "also from the primary's")
    yield _one("secondary", [{"name": f"m{k}"} for k in range(11)], "a list of 0 to 10 entries")
    for name, at in (("converted", "mean, as elsewhere"), ("rating", "mean, as elsewhere")):
        rail = {"kind": "outcome", "name": name, "aggregation": "sum"}
        yield _one("guardrails", [rail], at, field="guardrails[0].aggregation")
    for baseline in (0, 1, -0.5, 5):
        yield _one("primary.baseline", baseline, "> 0 and < 1 unless standardDeviation is given")
    yield _one("primary.minimumEffect", 0.95, "at most 0.9")
    yield Bad(
        {"primary.better": "decrease", "primary.minimumEffect": 0.11}, "spec.primary.minimumEffect", "at most 0.1"
    )
    yield Bad({"durationSeconds": 3600}, "spec.ramp.durationSeconds", "less than durationSeconds, which is 3600")
    yield Bad({"ramp.durationSeconds": 1_209_600}, "spec.ramp.durationSeconds", "which is 1209600")
    yield _one("ramp.steps", 48, "at least 49")
    yield _one("ramp.steps", 1, "at least 49")
    yield _one("noData.timeoutSeconds", 100, "at least staleAfterSeconds, which is 120")


def _not_here() -> Iterator[Bad]:
    """What is refused for reasons that only the platform knows."""
    effect, sample = "primary.minimumEffect", "minSampleSize"
    for changes, field, says in (
        ({"model": "unknown_model"}, "model", f"one of {MODEL}"),
        ({"arms[1].slot": "candidate-z"}, "arms[1].slot", "one of stable, candidate-a, candidate-b, the slots of"),
        ({"expectedUnitsPerDay": 200}, effect, "at least 0.0351 in this time"),
        ({"durationSeconds": 7200}, effect, "durationSeconds of 36209"),
        ({effect: 0.001}, effect, "units per day would do"),
        ({effect: 1e-9}, effect, "an effect that can be told from no effect"),
        ({effect: 1e-300}, effect, "an effect that can be told from no effect"),
        ({effect: 1e-300, "primary.standardDeviation": 1e9}, effect, "an effect that can be told from no effect"),
        ({sample: 1_000_000}, sample, "at most 139791 in this time"),
        ({sample: 1_000_000, "expectedUnitsPerDay": 1}, sample, "at most"),
        ({"expectedUnitsPerDay": ABSENT}, "expectedUnitsPerDay", "4,053 units per arm in 14.0 days need"),
        ({"mode": "openEnded", "expectedUnitsPerDay": 10}, effect, "6,422 units per arm are needed"),
        ({"holdoutPercent": 50, "expectedUnitsPerDay": 600}, effect, "4,053 units per arm are needed"),
        ({"significanceLevel": 0.0001, "expectedUnitsPerDay": 600}, effect, "units per arm are needed"),
        ({"power": 0.999, "expectedUnitsPerDay": 600}, effect, "units per arm are needed"),
    ):
        yield Bad(cast("Mapping[str, object]", changes), f"spec.{field}", says, server=False)


BAD: Final[tuple[Bad, ...]] = tuple(
    case for make in (_wrong_types, _wrong_names, _wrong_together, _not_here) for case in make()
)
