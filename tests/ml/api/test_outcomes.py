"""Reporting outcomes, and looking up who sees what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ml.contracts import experiment_salt
from ml.experiments.assignment import assign
from tests.ml.api.service import MODEL, SPEC, Service

pytestmark = pytest.mark.slow
BASE = "/ml/ab-tests"


def outcome(number: int | str = 1, **changes: Any) -> dict[str, Any]:
    return {"id": f"o-{number}", "model": MODEL, "metric": "conversion", "value": 1, "userId": f"u-{number}", **changes}


def outcome_store(service: Service) -> Any:
    """Return the store behind the API, for what the controller does."""
    return service.context.ports.outcomes._outcomes  # pyright: ignore


def open_experiment(service: Service, name: str) -> str:
    """Count outcomes for a new experiment, as the controller does when it begins one."""
    service.seed(name)
    outcomes = outcome_store(service)
    uid = f"uid-{name}"
    record = service.call(service.context.ports.queries.experiment(uid))
    assert record is not None
    service.call(outcomes.open_experiment(uid, MODEL, record.spec, experiment_salt(MODEL, 3), 1000.0))
    service.call(outcomes.start_epoch(uid, 0, {"stable": 500, "candidate-a": 500}, 1001.0))
    return uid


def test_outcomes_reach_the_sums_when_reported_in_bulk_and_singly(service: Service) -> None:
    uid = open_experiment(service, "counts")
    batch = [outcome(f"bulk-{n}", slot="candidate-a" if n % 2 else "stable") for n in range(10)]
    with service.client("write") as client:
        bulk = client.post(f"{BASE}/outcomes", json={"outcomes": batch}).raise_for_status().json()
        single = client.post(f"{BASE}/outcomes", json=outcome("single", slot="stable")).raise_for_status().json()
        again = client.post(f"{BASE}/outcomes", json=outcome("single", slot="stable")).raise_for_status().json()
    assert [item["id"] for item in bulk["results"]] == [item["id"] for item in batch]
    assert {item["status"] for item in bulk["results"]} == {"counted"}
    assert single["results"][0] == {"id": "o-single", "status": "counted", "message": "", "experiment": uid}
    assert again["results"][0]["status"] == "duplicate"
    sums = service.call(service.context.ports.outcomes.sums([uid]))[uid]
    assert dict(sums.epochs[0].units) == {"stable": 6, "candidate-a": 5}
    service.call(outcome_store(service).close_experiment(uid, 1.0))


def test_each_client_gets_its_own_results_when_many_report_at_once(service: Service) -> None:
    def report(number: int) -> list[str]:
        with service.client("write") as client:
            answer = client.post(
                f"{BASE}/outcomes", json={"outcomes": [outcome(f"many-{number}-{k}") for k in range(3)]}
            )
        return [item["id"] for item in answer.raise_for_status().json()["results"]]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(report, range(24)))
    assert answers == [[f"o-many-{number}-{k}" for k in range(3)] for number in range(24)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"model": "no_such_model"}, "/outcomes/1/model"),
        ({"slot": "blue"}, "/outcomes/1/slot"),
        ({"value": None}, "/outcomes/1/value"),
        ({"metric": None}, "/outcomes/1/metric"),
        ({"userId": None}, "/outcomes/1/userId"),
        ({"colour": "blue"}, "/outcomes/1/colour"),
        ({"id": ""}, "/outcomes/1/id"),
        ({"value": 1.01e9}, "/outcomes/1/value"),
        ({"value": -1e300}, "/outcomes/1/value"),
        ({"at": -1}, "/outcomes/1/at"),
        ({"value": True}, "/outcomes/1/value"),
        ({"value": "1"}, "/outcomes/1/value"),
    ],
)
def test_nothing_is_stored_and_the_field_is_named_when_one_outcome_is_wrong(
    service: Service, change: dict[str, Any], pointer: str
) -> None:
    before = service.written()
    with service.client("write") as client:
        answer = client.post(f"{BASE}/outcomes", json={"outcomes": [outcome("good"), outcome("bad", **change)]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert service.written() == before


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_is_refused_when_it_is_empty_or_too_long(service: Service, count: int) -> None:
    with service.client("write") as client:
        answer = client.post(f"{BASE}/outcomes", json={"outcomes": [outcome(n) for n in range(count)]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/outcomes"


def test_assignment_is_the_gateways_when_an_experiment_runs(service: Service) -> None:
    with service.client() as client:
        service.seed("assigns", holdoutPercent=0)
        users = [f"user-{n}" for n in range(20)]
        found = [client.get(f"{BASE}/assignments", params={"model": MODEL, "userId": user}).json() for user in users]
    expected = assign(users, [500, 500], experiment_salt(MODEL, 3))
    assert [item["slot"] for item in found] == [("stable", "candidate-a")[index] for index in expected]
    assert {item["experiment"] for item in found} == {"assigns"}


def test_held_out_users_stay_on_control_and_are_not_counted_when_there_is_a_holdout(service: Service) -> None:
    service.seed("holds-out", holdoutPercent=50)
    with service.client() as client:
        found = [
            client.get(f"{BASE}/assignments", params={"model": MODEL, "userId": f"user-{n}"}).json() for n in range(60)
        ]
    held = [item for item in found if not item["counted"]]
    assert 15 <= len(held) <= 45
    assert {item["slot"] for item in held} == {"stable"}
    service.seed("after-holdout")


def test_assignment_is_unknown_when_requests_are_split_at_random(service: Service) -> None:
    service.seed("at-random", unit="request")
    with service.client() as client:
        found = client.get(f"{BASE}/assignments", params={"model": MODEL, "userId": "u"}).json()
    assert (found["slot"], found["experiment"]) == (None, "at-random")
    assert SPEC["model"] == found["model"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": MODEL}, 422),
        ({"userId": "u"}, 422),
        ({"model": "no_such_model", "userId": "u"}, 404),
        ({"model": MODEL, "userId": "a\nb"}, 422),
        ({"model": MODEL, "userId": ""}, 422),
    ],
)
def test_assignment_is_refused_when_the_question_is_wrong(service: Service, query: dict[str, str], status: int) -> None:
    with service.client() as client:
        answer = client.get(f"{BASE}/assignments", params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
