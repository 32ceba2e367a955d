"""What a gateway's own configuration says about a model, on a dump recorded from Envoy 1.40."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ml.controller.gateways import Settled, route_state, routes_by_name
from ml.controller.ports import Mirror, RouteState
from ml.kubernetes import JsonObject

RECORDED: JsonObject = json.loads((Path(__file__).parent / "reference" / "config_dump.json").read_text())
MODEL, OTHER = "content_quality_model", "research_pattern_predictor"
SLOTS = ("stable", "candidate-a", "candidate-b")


def state(dump: JsonObject, model: str = MODEL) -> RouteState | None:
    return route_state(routes_by_name(dump), model, SLOTS)


def changed(change: Any, *, only_first: bool = False) -> JsonObject:
    """Return the recorded dump with the actions of the model's three routes changed."""
    dump = copy.deepcopy(RECORDED)
    hosts = dump["configs"][0]["route_config"]["virtual_hosts"]
    routes = [route for route in hosts[0]["routes"] if route["name"] == "content-quality-model-root-split-07"]
    assert len(routes) == 3
    for route in routes[:1] if only_first else routes:
        change(route)
    return dump


def test_weights_salt_and_mirror_are_read_when_the_gateway_has_them() -> None:
    assert state(RECORDED) == RouteState(
        weights={"stable": 900, "candidate-a": 100, "candidate-b": 0},
        salt_index=7,
        mirror=Mirror(slot="candidate-a", percent=12.5),
    )


def test_order_of_destinations_is_read_when_stable_stands_between_candidates() -> None:
    def spread(route: JsonObject) -> None:
        clusters = route["route"]["weighted_clusters"]["clusters"]
        stable, first = copy.deepcopy(clusters[0]), copy.deepcopy(clusters[1])
        second = {**first, "name": first["name"].replace("candidate-a", "candidate-b")}
        parts = ((stable, 690), (first, 10), (stable, 290), (second, 10))
        clusters[:] = [{**entry, "weight": weight} for entry, weight in parts]

    found = state(changed(spread))
    assert found is not None
    assert dict(found.weights) == {"stable": 980, "candidate-a": 10, "candidate-b": 10}
    assert found.layout == (("stable", 690), ("candidate-a", 10), ("stable", 290), ("candidate-b", 10))
    assert state(changed(spread, only_first=True)) is None


def test_slots_without_weight_are_filled_in_when_the_mesh_left_them_out() -> None:
    found = state(RECORDED, OTHER)
    assert found == RouteState(weights={"stable": 1000, "candidate-a": 0, "candidate-b": 0}, salt_index=0)


def test_nothing_is_in_force_when_the_gateway_does_not_know_the_model() -> None:
    assert state(RECORDED, "another_model") is None
    assert state({"configs": []}) is None
    assert state({}) is None


def test_nothing_is_in_force_when_the_routes_of_a_model_contradict_each_other() -> None:
    def shift(route: JsonObject) -> None:
        route["route"]["weighted_clusters"]["clusters"][0]["weight"] = 901

    assert state(changed(shift, only_first=True)) is None


def test_nothing_is_in_force_when_two_salts_are_there_at_once() -> None:
    def rename(route: JsonObject) -> None:
        route["name"] = "content-quality-model-root-split-08"

    assert state(changed(rename, only_first=True)) is None


@pytest.mark.parametrize("part", ["hash_policy", "use_hash_policy", "salt"])
def test_nothing_is_in_force_when_the_split_is_not_sticky_by_its_own_salt(part: str) -> None:
    def loosen(route: JsonObject) -> None:
        if part == "hash_policy":
            del route["route"]["hash_policy"]
        elif part == "use_hash_policy":
            route["route"]["weighted_clusters"]["use_hash_policy"] = False
        else:
            route["name"] = "content-quality-model-root-split-08"

    assert state(changed(loosen)) is None


def test_nothing_is_in_force_when_the_route_has_no_weighted_clusters() -> None:
    def single(route: JsonObject) -> None:
        del route["route"]["weighted_clusters"]
        route["route"]["cluster"] = "outbound|8501|stable|content-quality-model.research.svc.cluster.local"

    assert state(changed(single)) is None


def test_mirror_to_something_else_is_not_ours_when_read() -> None:
    def foreign(route: JsonObject) -> None:
        route["route"]["request_mirror_policies"][0]["cluster"] = "drift-monitor"

    found = state(changed(foreign))
    assert found is not None
    assert found.mirror is None


@pytest.mark.parametrize("answer", [None, [], "text", {"configs": 3}])
def test_answer_is_refused_when_it_is_no_dump(answer: object) -> None:
    with pytest.raises(ValueError, match="configuration dump"):
        routes_by_name(answer)


def test_written_route_counts_only_after_a_while_when_gateways_tell_nothing() -> None:
    now = 0.0
    settled = Settled(5, clock=lambda: now)
    first = RouteState(weights={"stable": 1000}, salt_index=1)
    second = RouteState(weights={"stable": 999, "candidate-a": 1}, salt_index=1)

    def look(route: RouteState) -> RouteState | None:
        return asyncio.run(settled.in_force("m", route))

    assert look(first) is None
    now = 4.9
    assert look(first) is None
    now = 5.0
    assert look(first) == first
    assert look(second) is None
    now = 9.9
    assert look(second) is None
    now = 10.0
    assert look(second) == second
