"""Three arms on one model: a third slot by setting, users who keep their slot, and the better of two candidates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ml import contracts
from ml.contracts.abtest import read_spec
from ml.experiments.layout import homes, laid_out, stretches
from tests.e2e.application import Api, Application
from tests.e2e.cluster import Answers, Cluster, eventually
from tests.e2e.experiments import (
    CANDIDATE,
    MODEL,
    STABLE,
    create,
    deploy,
    epochs_of,
    events,
    moved_back,
    of_type,
    reaches,
    spec,
    status_of,
    version_of,
)

pytestmark = pytest.mark.e2e

SECOND = "candidate-b"
_SLOTS = (STABLE, CANDIDATE, SECOND)
_USERS = [f"regular-{number}" for number in range(600)]
_LOOKED_UP = 15
_SHARES = {STABLE: 40, CANDIDATE: 30, SECOND: 30}
_CHANGES = {
    "arms": [{"slot": slot, "weightPercent": share} for slot, share in _SHARES.items()],
    "ramp": {"durationSeconds": 20, "steps": 40},
    "primary": {"name": "converted", "aggregation": "any", "baseline": 0.3, "minimumEffect": 0.1},
    "guardrails": [{"kind": "errors", "limitPercent": 5}],
    "minSampleSize": 1_500,
    "expectedUnitsPerDay": 20_000_000,
}
"""So many units per arm that the ramp is over before anything can be decided."""


@pytest.fixture
def third_slot(cluster: Cluster, champion: str) -> Iterator[str]:
    """A platform whose model has a third slot; it goes again with the setting."""
    stack = cluster.platform.stack
    for index, model in enumerate(contracts.DEFAULT_MODELS):
        stack.set_config(f"models[{index}].name", model)
        slots = _SLOTS if model == MODEL else _SLOTS[:2]
        for number, slot in enumerate(slots):
            stack.set_config(f"models[{index}].slots[{number}]", slot)
    try:
        stack.up()
        yield champion
    finally:
        cluster.kubectl("delete", "abtests.mlplatform.dev", "--all", "--timeout=60s")
        stack.remove_config("models")
        stack.up()
    workloads = cluster.kubectl("get", "deployments", "-o", "name")
    assert contracts.slot_workload(MODEL, CANDIDATE) in workloads
    assert contracts.slot_workload(MODEL, SECOND) not in workloads


def test_better_of_two_candidates_is_promoted_and_users_keep_their_slot(cluster: Cluster, third_slot: str) -> None:
    deploy(cluster, CANDIDATE, third_slot)
    better = version_of(cluster)
    deploy(cluster, SECOND, better)
    create(cluster, "three", **_CHANGES)
    behaviour = {STABLE: {"converted": 0.25}, CANDIDATE: {"converted": 0.35}, SECOND: {"converted": 0.6}}
    with Application(cluster, MODEL, behaviour) as application:
        seen = regulars_until_the_ramp_is_over(cluster)
        expected = laid_out({slot: 10 * share for slot, share in _SHARES.items()}, homes(read_spec(spec(**_CHANGES))))
        assert cluster.gateway_destinations(MODEL) == list(stretches(expected))
        api = Api(cluster, "read")
        for user in _USERS[:_LOOKED_UP]:
            found = api.call("GET", f"/assignments?model={MODEL}&userId={user}")[1]
            assert (found["slot"], found["experiment"]) == (seen[-1].slot_of_user[user], "three")
        results = api.call("GET", "/three/results")[1]
        reaches(cluster, "three", "Promoted", "RolledBack", "Inconclusive", "Invalid", within_seconds=180)
    assert application.refused == []
    check_nobody_moved(seen)
    record = events(cluster, "three")
    shares = [weights for _, _, weights in epochs_of(record)]
    assert shares[0] == {STABLE: 986, CANDIDATE: 7, SECOND: 7}
    assert {STABLE: 400, CANDIDATE: 300, SECOND: 300} in shares
    assert results["sampleRatio"]["sound"], results["sampleRatio"]
    status = status_of(cluster, "three")
    assert (status["phase"], status["winner"]) == ("Promoted", SECOND), status
    last = of_type(record, "DecisionMade")[-1]["decision"]
    assert last["action"] == "promote"
    assert last["sample_ratio"]["p_value"] > 0.001
    units = status["samples"]
    print(f"three arms: {len(seen)} sweeps, {len(shares)} epochs, units {units}, {last['sample_ratio']}")
    assert min(units.values()) >= _CHANGES["minSampleSize"], "the first to have enough waits for the other"
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == better
    assert cluster.gateway_weights(MODEL) == {STABLE: 1000}
    replayed = cluster.mlp("experiment", "replay", "three")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def regulars_until_the_ramp_is_over(cluster: Cluster) -> list[Answers]:
    """Send the same users again and again while the shares grow, and once more when they are final."""
    seen: list[Answers] = []

    def final() -> bool:
        is_over = status_of(cluster, "three").get("phase") == "Running"
        seen.append(cluster.send(MODEL, _USERS, concurrency=6))
        return is_over

    eventually(final, within_seconds=150, what="the ramp is over", every_seconds=1.0)
    return seen


def check_nobody_moved(seen: list[Answers]) -> None:
    """Check that no user left a candidate, neither for stable nor for the other candidate, and that all had users."""
    for before, after in itertools.pairwise(seen):
        assert after.failed == 0
        assert moved_back(before.slot_of_user, after.slot_of_user) == []
    for slot, share in _SHARES.items():
        expected = len(_USERS) * share / 100
        assert abs(seen[-1].slots[slot] - expected) < 5 * (expected * (1 - share / 100)) ** 0.5
