"""Creating experiments and commanding them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ml.api.auth import Principal
from ml.api.commands import issue
from ml.api.problems import ProblemError
from ml.events.types import PhaseEntered, experiment_stream
from tests.ml.api.service import BUSY_MODEL, NAMESPACE, QUIET_MODEL, SPEC, Service

pytestmark = pytest.mark.slow
BASE = "/ml/ab-tests"


def test_create_makes_an_object_with_the_creators_name_when_admissible(service: Service) -> None:
    with service.client("write") as client:
        answer = client.post(BASE, json={"name": "first", "spec": SPEC, "why": "ticket 1"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"{BASE}/first"
    assert (made["id"], made["phase"], made["model"]) == ("uid-first", "Pending", SPEC["model"])
    assert made["plan"]["requiredPerArm"] > 1000
    assert (made["plan"]["unitsPerDay"], made["plan"]["unitsPerDaySource"]) == (20_000.0, "spec")
    manifest = service.kubernetes.tests["first"]
    assert manifest["metadata"]["annotations"]["mlplatform.dev/created-by"] == "local:write"
    assert manifest["metadata"]["annotations"]["mlplatform.dev/why"] == "ticket 1"
    assert manifest["spec"]["primary"]["minimumEffect"] == 0.02


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"model": "no_such_model"}, "/spec/model", "research_pattern_predictor"),
        (
            {"arms": [{"slot": "stable", "weightPercent": 50}, {"slot": "blue", "weightPercent": 50}]},
            "/spec/arms/1/slot",
            "candidate-a",
        ),
        ({"primary": {**SPEC["primary"], "minimumEffect": 0.0001}}, "/spec/primary/minimumEffect", "units per day"),
        ({"primary": {"name": "conversion"}}, "/spec/primary/minimumEffect", "is missing"),
        ({"significanceLevel": 0.9}, "/spec/significanceLevel", "< 0.5"),
        ({"colour": "blue"}, "/spec/colour", "unknown field"),
        ({"minSampleSize": "many"}, "/spec/minSampleSize", "whole number"),
    ],
)
def test_create_names_field_value_and_limits_when_the_spec_is_wrong(
    service: Service, change: dict[str, Any], pointer: str, words: str
) -> None:
    before = service.written()
    with service.client("write") as client:
        answer = client.post(BASE, json={"name": "wrong", "spec": {**SPEC, **change}})
    assert answer.status_code == 422
    errors = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert pointer in errors
    assert words in errors[pointer]
    assert service.written() == before


def report_users(service: Service, model: str, count: int, days: float) -> None:
    """Report what so many users did, evenly over the last days."""
    now = time.time()
    outcomes = [
        {"id": f"{model}-{k}", "model": model, "userId": f"u{k}", "at": now - days * 86_400 * k / (count - 1)}
        for k in range(count)
    ]
    with service.client("write") as client:
        for start in range(0, count, 500):
            answer = client.post(f"{BASE}/outcomes", json={"outcomes": outcomes[start : start + 500]})
            assert answer.status_code == 200, answer.text


def test_traffic_is_measured_by_the_outcomes_when_the_spec_does_not_say(service: Service) -> None:
    spec = {key: value for key, value in SPEC.items() if key != "expectedUnitsPerDay"}
    spec["primary"] = {**spec["primary"], "minimumEffect": 0.05}
    for model, users, status in ((BUSY_MODEL, 1_500, 201), (QUIET_MODEL, 20, 422)):
        report_users(service, model, users, 2.0)
        with service.client("write") as client:
            answer = client.post(BASE, json={"name": model.replace("_", "-"), "spec": {**spec, "model": model}})
        assert answer.status_code == status, answer.text
        if status == 201:
            plan = answer.json()["plan"]
            assert plan["unitsPerDay"] == pytest.approx(users / 2.0, rel=0.01)
            assert plan["unitsPerDaySource"] == "outcomes"
        else:
            detail = answer.json()["errors"][0]["detail"]
            assert "with 10 units per day (measured in the reported outcomes over 2.0 days)" in detail


def test_nothing_is_made_when_the_traffic_cannot_be_measured_now(service: Service) -> None:
    spec = {key: value for key, value in SPEC.items() if key != "expectedUnitsPerDay"} | {"unit": "request"}
    before = service.written()
    with service.client("write") as client:
        answer = client.post(BASE, json={"name": "unheard", "spec": spec})
    assert answer.status_code == 503
    assert "spec.expectedUnitsPerDay is missing" in answer.json()["detail"]
    assert service.written() == before


@pytest.mark.parametrize("name", ["Capital", "with_underscore", "-dash", "a" * 64, "outcomes", "ui", ""])
def test_create_refuses_a_name_when_kubernetes_or_the_paths_cannot_have_it(service: Service, name: str) -> None:
    with service.client("write") as client:
        answer = client.post(BASE, json={"name": name, "spec": SPEC})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"


def test_create_conflicts_when_the_name_is_taken(service: Service) -> None:
    with service.client("write") as client:
        assert client.post(BASE, json={"name": "taken", "spec": SPEC}).status_code == 201
        before = service.written()
        answer = client.post(BASE, json={"name": "taken", "spec": SPEC})
    assert answer.status_code == 409
    assert service.written() == before


def test_create_passes_on_what_the_api_server_refuses(service: Service) -> None:
    service.kubernetes.refusal = {
        "kind": "Status",
        "message": "invalid",
        "details": {"causes": [{"field": "spec.arms[1].slot", "message": "must differ"}]},
    }
    try:
        with service.client("write") as client:
            answer = client.post(BASE, json={"name": "refused", "spec": SPEC})
    finally:
        service.kubernetes.refusal = None
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/spec/arms/1/slot", "detail": "spec.arms[1].slot: must differ"}]


def test_create_is_unavailable_when_kubernetes_is_away(service: Service) -> None:
    with service.client("write") as client:
        assert client.post(BASE, json={"name": "warm-up", "spec": SPEC}).status_code == 201
        service.kubernetes.down = True
        try:
            answer = client.post(BASE, json={"name": "away", "spec": SPEC}, headers={"idempotency-key": "key-3"})
        finally:
            service.kubernetes.down = False
        retried = client.post(BASE, json={"name": "away", "spec": SPEC}, headers={"idempotency-key": "key-3"})
    assert (answer.status_code, retried.status_code) == (503, 201)
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("action", ["pause", "resume", "stop", "promote", "rollback"])
def test_command_is_recorded_with_who_and_why_when_the_phase_allows_it(service: Service, action: str) -> None:
    name = service.seed()
    with service.client("decide") as client:
        answer = client.post(f"{BASE}/{name}/{action}", json={"why": "support sees complaints", "arm": "candidate-a"})
    assert answer.status_code == 202, answer.text
    (command,) = service.commands(name)
    assert (command.action, command.by, command.why) == (action, "local:decide", "support sees complaints")
    assert (command.arm, command.source, command.command) == ("candidate-a", "api", answer.json()["command"])


@pytest.mark.parametrize(
    ("phase", "action"),
    [
        ("Promoted", "stop"),
        ("Running", "approve"),
        ("RollingBack", "rollback"),
        ("Promoting", "promote"),
        ("Cancelled", "pause"),
    ],
)
def test_command_conflicts_and_says_what_is_allowed_when_the_phase_is_wrong(
    service: Service, phase: str, action: str
) -> None:
    name = service.seed(phase=phase)
    before = service.written()
    with service.client("decide") as client:
        answer = client.post(f"{BASE}/{name}/{action}", json={"why": "because"})
    assert answer.status_code == 409
    assert f"phase {phase}" in answer.json()["detail"]
    assert "allowed in" in answer.json()["detail"]
    assert service.written() == before


def test_command_sees_the_newest_phase_when_the_projection_lags(service: Service) -> None:
    name = service.seed()
    stream = experiment_stream(f"uid-{name}")

    async def lagging(*_: Any, **__: Any) -> Any:
        return record

    record = service.call(service.context.ports.queries.experiment(f"uid-{name}"))
    assert record is not None
    queries = service.context.ports.queries
    service.call(
        service.context.ports.events.append(
            stream, record.position, [PhaseEntered(at=7000.0, phase="Promoted", reason="test")]
        )
    )
    queries.experiment = lagging  # type: ignore[method-assign]
    try:
        with service.client("decide") as client:
            answer = client.post(f"{BASE}/{name}/stop", json={"why": "because"})
    finally:
        del queries.experiment
    assert answer.status_code == 409
    assert "Promoted" in answer.json()["detail"]


def test_command_is_refused_when_the_experiment_is_not_the_version_named(service: Service) -> None:
    name = service.seed()
    with service.client("decide") as client:
        etag = client.get(f"{BASE}/{name}").headers["etag"]
        stale = client.post(f"{BASE}/{name}/pause", json={"why": "x"}, headers={"if-match": '"something.1"'})
        fresh = client.post(f"{BASE}/{name}/pause", json={"why": "x"}, headers={"if-match": etag})
        again = client.post(f"{BASE}/{name}/resume", json={"why": "x"}, headers={"if-match": etag})
    assert (stale.status_code, fresh.status_code, again.status_code) == (412, 202, 412)
    assert len(service.commands(name)) == 1


@pytest.mark.parametrize(("subject", "why", "field"), [("a\x00b", "x", "by"), ("ann", "a\x00b", "why")])
def test_nothing_enters_the_log_when_a_text_of_it_cannot_be_stored(
    service: Service, subject: str, why: str, field: str
) -> None:
    name = service.seed()
    before = service.written()
    principal = Principal(subject=subject, scopes=frozenset({"decide"}))
    with pytest.raises(ProblemError, match=f"{field}: .*U\\+0000") as refusal:
        service.call(issue(service.context.ports, principal, NAMESPACE, name, "pause", why=why))
    assert refusal.value.status_code == 422
    assert service.written() == before


def test_every_command_is_recorded_when_many_come_at_once(service: Service) -> None:
    name = service.seed()

    def ask(number: int) -> int:
        with service.client("decide") as client:
            return client.post(f"{BASE}/{name}/pause", json={"why": f"reason {number}"}).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(ask, range(8)))
    assert statuses.count(202) == len(service.commands(name))
    assert set(statuses) <= {202, 409}
    assert statuses.count(202) >= 4


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/why"),
        ({"why": ""}, "/why"),
        ({"why": "   "}, "/why"),
        ({"why": "x" * 1001}, "/why"),
        ({"why": 7}, "/why"),
        ({"why": "x", "arm": "blue"}, "/arm"),
        ({"why": "x", "arm": "stable"}, "/arm"),
        ({"why": "x", "reason": "y"}, "/reason"),
    ],
)
def test_command_names_the_field_when_it_is_wrong(service: Service, body: dict[str, Any], pointer: str) -> None:
    name = service.seed()
    before = service.written()
    with service.client("decide") as client:
        answer = client.post(f"{BASE}/{name}/stop", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert service.written() == before


def test_stop_is_recorded_when_the_controller_has_not_admitted_it_yet(service: Service) -> None:
    with service.client("decide") as client:
        client.post(BASE, json={"name": "waiting", "spec": SPEC})
        answer = client.post(f"{BASE}/waiting/stop", json={"why": "changed my mind"})
        unknown = client.post(f"{BASE}/nobody/stop", json={"why": "x"})
    assert answer.status_code == 202
    assert unknown.status_code == 404
    assert [command.action for command in service.commands("waiting")] == ["stop"]


def test_audit_has_every_write_when_it_was_done(service: Service) -> None:
    name = service.seed()
    with service.client("decide", **{"x-request-id": "request-for-audit"}) as client:
        client.post(f"{BASE}/{name}/pause", json={"why": "look closer"}).raise_for_status()
    audit: Any = service.context.ports.audit
    (entry,) = service.call(audit.entries(target=name))
    assert (entry.subject, entry.action, entry.why) == ("local:decide", "command_experiment", "look closer")
    assert entry.request_id == "request-for-audit"
    assert entry.status == 202
