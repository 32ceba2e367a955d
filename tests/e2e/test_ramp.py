"""A real ramp, by the controller: who meets the candidate, epoch by epoch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from ml import contracts
from ml.experiments.assignment import assign
from tests.e2e.application import Api
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.experiments import (
    CANDIDATE,
    HARD_TO_FIND,
    MODEL,
    STABLE,
    create,
    deploy,
    epochs_of,
    events,
    moved_back,
    of_type,
    status_of,
)

pytestmark = pytest.mark.e2e

_USERS = [f"visitor-{number}" for number in range(20_000)]
_BATCH = 2_000
_CONCURRENCY = 24
_STEPS = 2
_EPOCHS = _STEPS + 1
_LARGEST_REPORT = 1_000
_RESERVE = 1.5
"""How much longer than rehearsed an epoch lasts, so that a sweep fits into it on a busy machine too."""
_ERRORS = 3.0
"""Standard errors by which a share may be off; the users are such that it holds for every salt."""


@dataclass
class Sweep:
    """Every user once, within one epoch."""

    began: float
    ended: float = 0.0
    failed: int = 0
    slot_of_user: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def treated(self) -> int:
        """How many met the candidate."""
        return sum(slot == CANDIDATE for slot in self.slot_of_user.values())


def rehearsed_seconds(cluster: Cluster) -> float:
    """Return how long a sweep takes on this machine, by a fifth of one while all is on stable."""
    began = time.monotonic()
    answers = cluster.send(MODEL, _USERS[: len(_USERS) // 5], concurrency=_CONCURRENCY)
    assert set(answers.slots) == {STABLE}
    return 5 * (time.monotonic() - began)


def sweep(cluster: Cluster, report: Api) -> Sweep:
    """Send each user one request, and report that nobody converted, which is what keeps the experiment supplied."""
    made = Sweep(began=time.time())
    for start in range(0, len(_USERS), _BATCH):
        answers = cluster.send(MODEL, _USERS[start : start + _BATCH], concurrency=_CONCURRENCY)
        made.failed += answers.failed
        made.slot_of_user |= answers.slot_of_user
        made.ended = time.time()
        tell(report, answers.slot_of_user, made)
    return made


def tell(api: Api, slot_of_user: dict[str, str], made: Sweep) -> None:
    """Report an outcome for each user of a batch, as of the batch's end."""
    common: dict[str, Any] = {"model": MODEL, "metric": "converted", "value": 0.0, "at": made.ended}
    outcomes = [
        {**common, "id": f"{user}-{made.began:.3f}", "userId": user, "slot": slot}
        for user, slot in slot_of_user.items()
    ]
    for start in range(0, len(outcomes), _LARGEST_REPORT):
        code, document = api.call("POST", "/outcomes", {"outcomes": outcomes[start : start + _LARGEST_REPORT]})
        assert code < 300, document


def largest_deviation(treated: int, weight: int) -> float:
    """Return how many standard errors the share of the treated is away from a weight out of 1000."""
    share = weight / 1000
    return abs(treated / len(_USERS) - share) / math.sqrt(share * (1 - share) / len(_USERS))


def test_users_are_shared_out_within_three_errors_when_any_salt_is_used() -> None:
    """What the gateway does with these users is known beforehand: the test of the ramp cannot fail by chance."""
    for salt in range(contracts.SALT_COUNT):
        for weight in range(10, 10 * _EPOCHS + 1, 10):
            placed = assign(_USERS, [1000 - weight, weight], contracts.experiment_salt(MODEL, salt))
            assert largest_deviation(int(placed.sum()), weight) <= _ERRORS


def test_nobody_leaves_the_candidate_when_the_controller_ramps(cluster: Cluster, champion: str) -> None:
    deploy(cluster, CANDIDATE, champion)
    step_seconds = math.ceil(_RESERVE * rehearsed_seconds(cluster)) + 5
    create(
        cluster,
        "sticky",
        **HARD_TO_FIND,
        arms=[{"slot": STABLE, "weightPercent": 100 - _EPOCHS}, {"slot": CANDIDATE, "weightPercent": _EPOCHS}],
        ramp={"durationSeconds": _STEPS * step_seconds, "steps": _STEPS},
        guardrails=[{"kind": "errors", "limitPercent": 5}],
        durationSeconds=3600,
    )
    reporting = Api(cluster, "write")
    sweeps: list[Sweep] = []
    for epoch in range(1, _EPOCHS + 1):
        eventually(
            lambda number=epoch: status_of(cluster, "sticky").get("epoch") == number,
            within_seconds=2 * step_seconds + 60,
            what=f"epoch {epoch} begins",
        )
        sweeps.append(sweep(cluster, reporting))
    record = events(cluster, "sticky")
    epochs = epochs_of(record)
    assert [weights for _, _, weights in epochs] == [
        {STABLE: 1000 - weight, CANDIDATE: weight} for weight in range(10, 10 * _EPOCHS + 1, 10)
    ]
    salt = contracts.experiment_salt(MODEL, of_type(record, "ExperimentCreated")[0]["salt_index"])
    previous: dict[str, str] = {}
    for made, (began, ended, weights) in zip(sweeps, epochs, strict=True):
        assert began <= made.began < made.ended <= ended
        assert (made.failed, len(made.slot_of_user)) == (0, len(_USERS))
        assert moved_back(previous, made.slot_of_user) == []
        deviation = largest_deviation(made.treated, weights[CANDIDATE])
        seconds = made.ended - made.began
        print(
            f"epoch of {weights}: {made.treated} of {len(_USERS)} users, {deviation:.2f} SE off, "
            f"nobody came back, {seconds:.0f} s"
        )
        assert deviation <= _ERRORS
        placed = assign(_USERS, [weights[STABLE], weights[CANDIDATE]], salt)
        assert [made.slot_of_user[user] for user in _USERS] == [(STABLE, CANDIDATE)[index] for index in placed]
        previous = made.slot_of_user
