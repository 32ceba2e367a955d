"""A real API server refuses what the models refuse and takes what they take. Slow: it starts etcd and an API server."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ml.contracts.abtest import read_spec, write_spec
from tests.ml.contracts.conftest import COLLECTION, Server
from tests.ml.contracts.generated import specs
from tests.ml.contracts.specs import BAD, Bad, JsonObject, changed, good

REFUSALS = {400, 422}


@pytest.fixture
def existing(api_server: Server) -> str:
    """The name of an experiment that exists."""
    name = f"test-{secrets.token_hex(4)}"
    answer = api_server.create(name, good())
    assert answer.is_success, answer.text
    return name


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.server], ids=lambda bad: bad.name)
def test_server_refuses_and_names_the_field_when_a_spec_is_bad(api_server: Server, bad: Bad) -> None:
    answer = api_server.create("bad", bad.document())
    assert answer.status_code in REFUSALS, answer.text
    top = bad.field.removeprefix("spec.").partition(".")[0].partition("[")[0]
    assert top in answer.json()["message"]


def test_nothing_is_stored_when_specs_were_refused(api_server: Server) -> None:
    for bad in (BAD[0], BAD[-20]):
        api_server.create("never", changed({**bad.changes, "power": 7}))
    assert api_server.http.get(f"{COLLECTION}/never").status_code == 404


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=specs())
def test_server_takes_a_spec_when_the_model_takes_it(api_server: Server, document: JsonObject) -> None:
    answer = api_server.create("good", document, dry_run=True)
    assert answer.is_success, answer.text
    assert read_spec(answer.json()["spec"]) == read_spec(document)


def test_server_fills_in_what_the_model_fills_in_when_little_is_said(api_server: Server) -> None:
    least = {"model": good()["model"], "primary": good()["primary"]}
    answer = api_server.create("least", least, dry_run=True)
    assert answer.json()["spec"] == json.loads(json.dumps(write_spec(read_spec(least))))


def test_name_is_refused_when_it_is_too_long_for_a_label(api_server: Server) -> None:
    assert api_server.create("n" * 63, good(), dry_run=True).is_success
    answer = api_server.create("n" * 64, good(), dry_run=True)
    assert answer.status_code in REFUSALS
    assert "at most 63 characters" in answer.json()["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"power": 0.9},
        {"expectedUnitsPerDay": 30_000},
        {"expectedUnitsPerDay": None},
        {"arms": [{"slot": "stable", "weightPercent": 60}, {"slot": "candidate-a", "weightPercent": 40}]},
        {"primary": {"minimumEffect": 0.03}},
        {"primary": {"standardDeviation": 1.0}},
        {"guardrails": []},
    ],
    ids=str,
)
def test_server_refuses_a_change_when_the_experiment_exists(
    api_server: Server, existing: str, change: dict[str, Any]
) -> None:
    answer = api_server.change(existing, {"spec": change})
    assert answer.status_code in REFUSALS
    assert f"{next(iter(change))} cannot change once the experiment exists" in answer.json()["message"]


def test_pause_is_taken_when_the_experiment_exists(api_server: Server, existing: str) -> None:
    assert api_server.change(existing, {"spec": {"paused": True}}).json()["spec"]["paused"] is True


def test_status_is_kept_apart_when_written(api_server: Server, existing: str) -> None:
    known = {"phase": "Running", "candidateShare": "12.5%", "progress": "100/4,053", "weights": {"stable": 875}}
    answer = api_server.change(existing, {"status": {**known, "unknown": 1}, "spec": {"power": 0.9}}, status=True)
    assert answer.json()["status"] == known
    assert answer.json()["spec"]["power"] == 0.8
    header, row = api_server.plane.kubectl("get", "abt", existing).splitlines()
    assert header.split() == ["NAME", "MODEL", "PHASE", "CANDIDATE", "SAMPLES", "DECISION", "AGE"]
    assert row.split()[:5] == [existing, good()["model"], "Running", "12.5%", "100/4,053"]


@pytest.mark.parametrize(
    "status",
    [{"phase": "Sleeping"}, {"lastDecision": {"action": "x"}}, {"samples": {"stable": "many"}}, {"startedAt": "today"}],
    ids=str,
)
def test_status_is_refused_when_it_makes_no_sense(api_server: Server, existing: str, status: JsonObject) -> None:
    assert api_server.change(existing, {"status": status}, status=True).status_code in REFUSALS
