"""Requests with a key that come again: the first answer is kept, a refusal is not, and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest

from ml.events.types import PhaseEntered, experiment_stream
from tests.ml.api.service import SPEC, Service

pytestmark = pytest.mark.slow
BASE = "/ml/ab-tests"


async def _forget_answers(service: Service) -> None:
    store: Any = service.context.ports.idempotency
    async with store._pool.connection() as connection:
        await connection.execute("DELETE FROM idempotency_keys")


def test_create_gives_the_first_answer_when_repeated_with_its_key(service: Service) -> None:
    body = {"name": "once", "spec": SPEC}
    with service.client("write", **{"idempotency-key": "key-1"}) as client:
        first = client.post(BASE, json=body)
        written = service.written()
        again = client.post(BASE, json=body)
        other = client.post(BASE, json={**body, "name": "twice"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["errors"][0]["pointer"] == "header/Idempotency-Key"
    assert service.written() == written


def test_create_recognises_its_own_object_when_the_first_answer_was_lost(service: Service) -> None:
    body = {"name": "lost", "spec": SPEC}
    with service.client("write", **{"idempotency-key": "key-2"}) as client:
        first = client.post(BASE, json=body)
        service.call(_forget_answers(service))
        again = client.post(BASE, json=body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert "idempotency-replayed" not in again.headers


def test_command_is_recorded_once_when_repeated_with_its_key(service: Service) -> None:
    name = service.seed()
    with service.client("decide", **{"idempotency-key": f"stop-{name}"}) as client:
        first = client.post(f"{BASE}/{name}/stop", json={"why": "x"})
        again = client.post(f"{BASE}/{name}/stop", json={"why": "x"})
        service.call(_forget_answers(service))
        lost = client.post(f"{BASE}/{name}/stop", json={"why": "x"})
    assert first.json() == again.json()
    assert lost.json()["command"] == first.json()["command"]
    assert {command.command for command in service.commands(name)} == {first.json()["command"]}


def test_command_is_taken_with_the_same_key_when_the_reason_of_its_refusal_is_gone(service: Service) -> None:
    name = service.seed()
    with service.client("decide", **{"idempotency-key": f"approve-{name}"}) as client:
        refused = client.post(f"{BASE}/{name}/approve", json={"why": "x"})
        entered = PhaseEntered(at=7000.0, phase="AwaitingApproval", reason="test")
        service.call(service.context.ports.events.append(experiment_stream(f"uid-{name}"), 6, [entered]))
        taken = client.post(f"{BASE}/{name}/approve", json={"why": "x"})
    assert (refused.status_code, taken.status_code) == (409, 202)
    assert "idempotency-replayed" not in taken.headers
    assert [command.action for command in service.commands(name)] == ["approve"]


@pytest.mark.parametrize("is_projected", [False, True])
def test_command_is_refused_when_its_key_was_another_one_s_and_has_been_forgotten(
    service: Service, is_projected: bool
) -> None:
    """An answer is kept for a day, what was recorded for ever: a nightly pause with a fixed key would do nothing."""
    name = service.seed()
    with service.client("decide", **{"idempotency-key": f"fixed-{name}"}) as client:
        first = client.post(f"{BASE}/{name}/pause", json={"why": "night"})
        service.call(_forget_answers(service))
        if is_projected:
            service.wait_for(f"uid-{name}", 7)
        other = client.post(f"{BASE}/{name}/stop", json={"why": "harm"})
    assert (first.status_code, other.status_code) == (202, 422)
    assert other.json()["errors"][0]["pointer"] == "header/Idempotency-Key"
    assert "used for pause with the reason 'night'" in other.json()["detail"]
    assert [command.action for command in service.commands(name)] == ["pause"]


def test_command_is_the_same_when_it_brought_about_the_end_and_its_answer_was_lost(service: Service) -> None:
    name = service.seed()
    with service.client("decide", **{"idempotency-key": f"lost-{name}"}) as client:
        first = client.post(f"{BASE}/{name}/stop", json={"why": "x"})
        service.call(_forget_answers(service))
        ended = PhaseEntered(at=7000.0, phase="Cancelled", reason="test")
        service.call(service.context.ports.events.append(experiment_stream(f"uid-{name}"), 7, [ended]))
        service.wait_for(f"uid-{name}", 8)
        again = client.post(f"{BASE}/{name}/stop", json={"why": "x"})
    assert (again.status_code, again.json()) == (202, first.json())
    assert len(service.commands(name)) == 1
