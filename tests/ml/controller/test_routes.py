"""The split when a route is asked for: weights, salt, mirror and stable's gaps, written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts import SLOT_HEADER
from ml.controller.ports import Mirror, RouteState
from ml.controller.splits import SplitPlan, route_of
from ml.kubernetes import JsonObject
from tests.ml.controller.split_objects import DECLARED, MODEL, plan, shared_out, stored, weights, written
from tests.support.schemas import check_custom

THREE = ("stable", "candidate-a", "candidate-b")
APART = (("stable", 690), ("candidate-a", 10), ("stable", 290), ("candidate-b", 10))


def destinations(manifest: JsonObject | None) -> tuple[tuple[str, int], ...]:
    assert manifest is not None
    return tuple((entry["destination"]["subset"], entry["weight"]) for entry in manifest["spec"]["http"][0]["route"])


def apart() -> JsonObject:
    """Return a split of three arms in the middle of a ramp, as the API server has it."""
    wanted = RouteState(weights={"stable": 980, "candidate-a": 10, "candidate-b": 10}, salt_index=3, layout=APART)
    body = stored(plan(stored(plan(None, THREE)), THREE, wanted=wanted))
    assert route_of(body) == wanted
    return body


def test_stable_is_listed_between_candidates_when_the_route_keeps_them_apart() -> None:
    body = apart()
    check_custom({key: value for key, value in body.items() if key != "status"})
    assert destinations(body) == APART
    for entry in body["spec"]["http"][0]["route"]:
        assert entry["headers"]["response"]["set"] == {SLOT_HEADER: entry["destination"]["subset"]}
    assert plan(body, THREE) == SplitPlan(manifest=None, exists=True)


def test_gaps_stay_before_their_slots_when_slots_come_or_were_sorted() -> None:
    body = apart()
    grown = plan(body, (*THREE, "candidate-c"))
    assert destinations(grown.manifest) == (*APART, ("candidate-c", 0))
    body["spec"]["http"][0]["route"].reverse()
    sorted_again = plan(body, THREE).manifest
    assert weights(sorted_again) | {"stable": 980} == {"stable": 980, "candidate-a": 10, "candidate-b": 10}
    assert sum(weight for _, weight in destinations(sorted_again)) == 1000


def test_one_destination_each_is_left_when_all_traffic_is_on_stable_again() -> None:
    wanted = RouteState(weights={"stable": 1000, "candidate-a": 0, "candidate-b": 0}, salt_index=3)
    assert destinations(plan(apart(), THREE, wanted=wanted).manifest) == tuple(wanted.weights.items())


def test_route_is_as_asked_for_when_weights_salt_and_mirror_are() -> None:
    wanted = RouteState(
        weights={"stable": 995, "candidate-a": 5}, salt_index=15, mirror=Mirror(slot="candidate-a", percent=12.5)
    )
    changed = plan(stored(plan(None)), wanted=wanted)
    assert changed.manifest is not None
    (route,) = changed.manifest["spec"]["http"]
    assert route["name"] == "split-15"
    assert route["mirror"] == {"host": MODEL, "port": {"number": 8501}, "subset": "candidate-a"}
    assert route["mirrorPercentage"] == {"value": 12.5}
    assert changed.manifest["metadata"]["resourceVersion"] == "7"
    check_custom(changed.manifest)


def test_mirror_goes_when_the_wanted_route_has_none() -> None:
    everything = {"stable": 1000, "candidate-a": 0}
    mirrored = RouteState(weights=everything, salt_index=0, mirror=Mirror(slot="candidate-a", percent=1))
    body = stored(plan(stored(plan(None)), wanted=mirrored))
    changed = plan(body, wanted=RouteState(weights=everything, salt_index=0))
    assert changed.manifest is not None
    (route,) = changed.manifest["spec"]["http"]
    assert "mirror" not in route
    assert "mirrorPercentage" not in route


def test_foreign_mirror_and_foreign_routes_stay_when_weights_are_set() -> None:
    body = stored(plan(None))
    body["spec"]["http"][0]["mirror"] = {"host": "drift"}
    body["spec"]["http"].insert(0, {"name": "preview", "match": [{"headers": {"x-preview": {"exact": "1"}}}]})
    changed = plan(body, wanted=RouteState(weights={"stable": 500, "candidate-a": 500}, salt_index=1))
    assert changed.manifest is not None
    preview, split = changed.manifest["spec"]["http"]
    assert preview == body["spec"]["http"][0]
    assert split["mirror"] == {"host": "drift"}
    assert route_of(changed.manifest) == RouteState(weights={"stable": 500, "candidate-a": 500}, salt_index=1)


def test_nothing_is_written_when_the_wanted_route_is_there() -> None:
    wanted = RouteState(weights={"stable": 900, "candidate-a": 100}, salt_index=3)
    assert plan(stored(plan(stored(plan(None)), wanted=wanted)), wanted=wanted).manifest is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RouteState(weights={"stable": 500, "candidate-b": 500}, salt_index=0), r"slots=\['candidate-b'\]"),
        (RouteState(weights={"stable": 0, "candidate-a": 0}, salt_index=0), "not all 0"),
        (RouteState(weights={}, salt_index=0), "not all 0"),
        (RouteState(weights={"stable": 1001, "candidate-a": -1}, salt_index=0), ">= 0"),
        (
            RouteState(weights={"stable": 1000}, salt_index=0, mirror=Mirror(slot="candidate-x", percent=5)),
            r"slots=\['candidate-x'\]",
        ),
    ],
)
def test_wanted_route_is_refused_when_it_makes_no_sense(wanted: RouteState, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(stored(plan(None)), wanted=wanted)


@given(before=shared_out(), slots=DECLARED, salt_index=st.integers(0, 15), data=st.data())
def test_written_route_reads_back_as_wanted_whatever_was_there(
    before: dict[str, int], slots: list[str], salt_index: int, data: st.DataObject
) -> None:
    given_weights = data.draw(st.lists(st.integers(0, 1000), min_size=len(slots), max_size=len(slots)).filter(any))
    mirror = data.draw(
        st.none() | st.builds(Mirror, slot=st.sampled_from(slots), percent=st.sampled_from([0.1, 10.0, 100.0]))
    )
    wanted = RouteState(weights=dict(zip(slots, given_weights, strict=True)), salt_index=salt_index, mirror=mirror)
    made = plan(written(before), slots=tuple(slots), wanted=wanted)
    assert made.manifest is not None
    read = route_of(made.manifest)
    assert read is not None
    assert list(read.weights) == slots
    if len(slots) > 1:
        assert read == wanted
    assert plan(stored(made), slots=tuple(slots), wanted=wanted).manifest is None


@pytest.mark.parametrize("spec", [{}, {"http": []}, {"http": [{"name": "preview"}]}, {"http": [{"name": "split-16"}]}])
def test_no_route_is_read_when_the_split_has_none_of_ours(spec: JsonObject) -> None:
    assert route_of({"spec": spec}) is None
