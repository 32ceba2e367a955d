"""Roots and splits as the API server would hold them, and what the controller would write beside them."""

from __future__ import annotations

import copy

from hypothesis import strategies as st

from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION, TRAFFIC_ROLE_LABEL
from ml.controller.ports import RouteState
from ml.controller.roots import parse_root
from ml.controller.splits import SplitPlan, plan_split
from ml.kubernetes import JsonObject

MODEL = "content-quality-model"
SLOTS = ("stable", "candidate-a")
_NAMES = ("stable", "candidate-a", "candidate-b", "candidate-c")
DECLARED = st.lists(st.sampled_from(_NAMES[1:]), unique=True).flatmap(
    lambda others: st.permutations(["stable", *others])
)
"""Slots that a root may declare, in any order."""


def root_body(slots: tuple[str, ...] = SLOTS, uid: str = "uid-1") -> JsonObject:
    return {
        "metadata": {
            "name": f"{MODEL}-root",
            "namespace": "research",
            "uid": uid,
            "labels": {TRAFFIC_ROLE_LABEL: "root", MODEL_LABEL: MODEL},
            "annotations": {SLOTS_ANNOTATION: ",".join(slots)},
        },
        "spec": {"http": [{"match": [{"uri": {"exact": "/v1/models/content_quality_model"}}]}]},
    }


def plan(
    existing: JsonObject | None,
    slots: tuple[str, ...] = SLOTS,
    uid: str = "uid-1",
    timeout_seconds: int = 30,
    wanted: RouteState | None = None,
) -> SplitPlan:
    root = parse_root(root_body(slots, uid))
    return plan_split(root, existing, timeout_seconds=timeout_seconds, wanted=wanted)


def stored(split: SplitPlan, version: str = "7") -> JsonObject:
    """Return the object that the API server would hold after the plan's manifest was applied."""
    assert split.manifest is not None
    body = copy.deepcopy(split.manifest)
    body["metadata"]["resourceVersion"] = version
    return body


def weights(manifest: JsonObject | None) -> dict[str, int]:
    assert manifest is not None
    return {entry["destination"]["subset"]: entry["weight"] for entry in manifest["spec"]["http"][0]["route"]}


@st.composite
def shared_out(draw: st.DrawFn) -> dict[str, int]:
    """Whole percentages for two to four slots that add up to 100, in any order."""
    slots = draw(st.permutations(_NAMES))[: draw(st.integers(2, 4))]
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(slots) - 1, max_size=len(slots) - 1)))
    return {slot: high - low for slot, low, high in zip(slots, [0, *cuts], [*cuts, 100], strict=True)}


def written(current: dict[str, int]) -> JsonObject:
    route = [{"destination": {"host": MODEL, "subset": slot}, "weight": weight} for slot, weight in current.items()]
    return {"metadata": {"resourceVersion": "1"}, "spec": {"http": [{"name": "split", "route": route}]}}
