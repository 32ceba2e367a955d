"""GraphQL: the same projections, the same tokens, limits on what a query may cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from websockets.asyncio.client import ClientConnection, connect

from ml.api.context import MOST_SUBSCRIPTIONS
from ml.api.graphql.schema import build_schema
from ml.api.settings import Rates
from ml.events.types import PhaseEntered, experiment_stream
from tests.ml.api.service import MODEL, TOKENS, Service

pytestmark = pytest.mark.slow
SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
PATH = "/ml/graphql"


def ask(service: Service, query: str, **variables: Any) -> dict[str, Any]:
    with service.client() as client:
        answer = client.post(PATH, json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_experiments_come_with_their_decisions_when_asked(service: Service) -> None:
    name = service.seed(looks=3)
    query = """query($name: String!) { experiment(name: $name) { name phase weights { slot weight } createdBy results
        decisions(first: 2) { position action reasons hash document } epochs { index weights { slot } }
        commands { action } } }"""
    found = ask(service, query, name=name)["data"]["experiment"]
    assert (found["name"], found["phase"], found["createdBy"]) == (name, "Running", "ann")
    assert [item["position"] for item in found["decisions"]] == [6, 5]
    assert found["results"]["name"] == name
    assert found["epochs"][0]["index"] == 0


def test_pages_hold_every_experiment_once_when_followed(service: Service) -> None:
    for number in range(3):
        service.seed(f"graph-{number}")
    names: list[str] = []
    after: str | None = None
    query = (
        "query($a: String) { experiments(first: 2, after: $a) { nodes { name } pageInfo { hasNextPage endCursor } } }"
    )
    while True:
        page = ask(service, query, a=after)["data"]["experiments"]
        names += [node["name"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(set(names)) == len(names)
    assert {"graph-0", "graph-1", "graph-2"} <= set(names)


def test_models_have_their_declared_slots_when_nothing_was_deployed_yet(service: Service) -> None:
    query = "{ models { name slots { name version } versions { version } } pipelines { run } }"
    models = ask(service, query)["data"]["models"]
    assert [model for model in models if model["name"] == MODEL] == [
        {
            "name": MODEL,
            "slots": [{"name": "stable", "version": None}, {"name": "candidate-a", "version": None}],
            "versions": [],
        }
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{ " + "".join(f"a{n}: models {{ name }} " for n in range(21)) + "}", "aliases"),
        ("{ models { " + "name " * 1001 + "} }", "tokens"),
        ("{ experiments(first: 100) { nodes { decisions(first: 100) { hash } } } }", "costs too much"),
        ("query($n: Int!) { experiments(first: $n) { nodes { decisions(first: 60) { hash } } } }", "costs too much"),
        ("{ experiments(first: 100) { nodes { results name } } }", "costs too much"),
        ("fragment A on Model { ...A } { models { ...A } }", "too deep"),
        ("{ experiments(first: 0) { nodes { name } } }", "allowed is 1 to 100"),
        ("{ experiments(first: 101) { nodes { name } } }", "allowed is 1 to 100"),
        ('{ models { experiments(after: "") { nodes { name } } } }', "allowed is endCursor"),
        ('{ experiments(after: "bogus") { nodes { name } } }', "endCursor"),
        ('{ experiments(phase: "nowhere") { nodes { name } } }', "Running"),
        (
            '{ experiment(name: "a\\u0000b") { name } }',
            "name='a\\\\x00b': allowed is a text without the character U+0000",
        ),
        ('{ model(name: "\\u0000") { name } }', "U+0000"),
        ('{ experiments(model: "\\u0000") { nodes { name } } }', "U+0000"),
        ('{ experiments(after: "\\u0000") { nodes { name } } }', "endCursor"),
        ("{ nothing }", "Cannot query field"),
        ("mutation { stop }", "mutation"),
        ('subscription { experimentChanges(name: "x") { name } }', "WebSockets"),
        ("{ models { name ", "Syntax Error"),
        ("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", "introspection"),
    ],
)
def test_a_query_is_refused_and_says_why_when_it_is_wrong_or_too_large(
    service: Service, query: str, words: str
) -> None:
    body = ask(service, query, **({"n": 100} if "$n" in query else {}))
    data: dict[str, Any] = body.get("data") or {}
    assert not any(data.values())
    assert words.lower() in json.dumps(body["errors"]).lower()


@pytest.mark.parametrize(
    ("kind", "end", "query"),
    [
        ("Model", "fragment F60 on Model { name }", "{ models { ...F0 } }"),
        ("Model", "", "{ models { ...F0 } }"),
        ("Model", "fragment F60 on Model { name }", "{ models { name } }"),
        ("__Type", "fragment F60 on __Type { name }", "{ __schema { types { ...F0 } } }"),
    ],
)
def test_fragments_that_multiply_are_refused_at_once_when_nested(
    service: Service, kind: str, end: str, query: str
) -> None:
    parts = [f"fragment F{n} on {kind} {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60)]
    body = ask(service, " ".join([*parts, end, query]))
    assert "costs too much" in body["errors"][0]["message"]


def test_introspection_answers_when_a_token_is_given(service: Service) -> None:
    types = ask(service, "{ __schema { queryType { name } types { name } } }")["data"]["__schema"]["types"]
    assert {"Experiment", "Decision", "Model"} <= {item["name"] for item in types}


@pytest.mark.parametrize("body", ["[]", '"x"', "7", "null", '[{"query": "{models{name}}"}]', '{"query": 7}', "{}", "{"])
def test_a_body_is_a_problem_when_it_is_no_graphql_request(service: Service, body: str) -> None:
    with service.client() as client:
        answer = client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_is_a_fault_of_the_platform_when_queries_are_made_up(service: Service) -> None:
    service.seed()

    @given(query=from_schema(build_schema().as_str()))
    @settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
    def check(query: str) -> None:
        with service.client() as client:
            answer = client.post(PATH, json={"query": query})
        assert answer.status_code in (200, 400), answer.text
        assert "fault of the platform" not in answer.text

    @given(text=st.text(alphabet='{}()[]$:!@#"\\ abcmodelsnx01.,\n\u00e9', max_size=200))
    @settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
    def check_noise(text: str) -> None:
        with service.client() as client:
            answer = client.post(PATH, json={"query": text})
        assert answer.status_code in (200, 400)
        assert "fault of the platform" not in answer.text

    before = service.written()
    check()
    check_noise()
    assert service.written() == before


async def _open(service: Service, token: str | None) -> ClientConnection:
    connection = await connect(f"ws://127.0.0.1:{service.port}{PATH}", subprotocols=["graphql-transport-ws"])  # type: ignore[list-item]
    payload = {"authorization": f"Bearer {token}"} if token else {}
    await connection.send(json.dumps({"type": "connection_init", "payload": payload}))
    return connection


def test_a_subscription_tells_of_changes_as_they_happen_when_one_listens(service: Service) -> None:
    name = service.seed()
    query = f'subscription {{ experimentChanges(name: "{name}") {{ phase position }} }}'

    async def follow() -> list[Any]:
        connection = await _open(service, TOKENS["read"])
        async with connection:
            assert json.loads(await connection.recv())["type"] == "connection_ack"
            await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            seen = [json.loads(await asyncio.wait_for(connection.recv(), 10))]
            appended = service.context.ports.events.append(
                experiment_stream(f"uid-{name}"), 6, [PhaseEntered(at=9000.0, phase="Promoted", reason="test")]
            )
            await asyncio.to_thread(service.call, appended)
            seen += [json.loads(await asyncio.wait_for(connection.recv(), 10)) for _ in range(2)]
        return seen

    first, second, end = asyncio.run(follow())
    assert first["payload"]["data"]["experimentChanges"] == {"phase": "Running", "position": 6}
    assert second["payload"]["data"]["experimentChanges"] == {"phase": "Promoted", "position": 7}
    assert end == {"id": "1", "type": "complete"}


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_connection_is_closed_when_its_token_is_missing_or_wrong(service: Service, token: str | None) -> None:
    async def knock() -> int | None:
        connection = await _open(service, token)
        await asyncio.wait_for(connection.wait_closed(), 10)
        return connection.close_code

    assert asyncio.run(knock()) == 4403


async def _answer(connection: ClientConnection, number: int, query: str) -> Any:
    """Return the first answer to an operation, whatever else comes meanwhile."""
    await connection.send(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": query}}))
    while True:
        message = json.loads(await asyncio.wait_for(connection.recv(), 10))
        if message.get("id") == str(number) and message["type"] != "complete":
            return message["payload"]


def test_operations_on_a_connection_are_slowed_down_when_they_come_too_often() -> None:
    service = Service(rates=Rates(reads_per_second=5))

    async def hurry() -> list[str]:
        connection = await _open(service, TOKENS["read"])
        async with connection:
            assert json.loads(await connection.recv())["type"] == "connection_ack"
            hasty = [json.dumps(await _answer(connection, number, "{ models { name } }")) for number in range(40)]
            await asyncio.sleep(1.1)
            return [*hasty, json.dumps(await _answer(connection, 40, "{ models { name } }"))]

    try:
        *hasty, later = asyncio.run(hurry())
    finally:
        service.stop()
    refused = [answer for answer in hasty if "allowed are 5 reads per second; try again in 1 s" in answer]
    assert MODEL in hasty[0]
    assert refused
    assert all(MODEL not in answer for answer in refused)
    assert len(refused) + sum(MODEL in answer for answer in hasty) == len(hasty)
    assert MODEL in later


def test_a_subscription_is_refused_when_the_client_has_as_many_as_allowed(service: Service) -> None:
    name = service.seed()
    query = f'subscription {{ experimentChanges(name: "{name}") {{ phase }} }}'
    per_connection = 20

    async def subscribe() -> list[str]:
        async with contextlib.AsyncExitStack() as stack:
            answers: list[str] = []
            connections: list[ClientConnection] = []
            for number in range(MOST_SUBSCRIPTIONS + 1):
                if number % per_connection == 0:
                    connections.append(await stack.enter_async_context(await _open(service, TOKENS["read"])))
                    assert json.loads(await connections[-1].recv())["type"] == "connection_ack"
                answers.append(json.dumps(await _answer(connections[-1], number, query)))
            return answers

    for _ in range(2):  # what is over does not count any more
        *taken, refused = asyncio.run(subscribe())
        assert all("Running" in answer for answer in taken)
        assert "allowed are 50 subscriptions per client at once; end one first" in refused
        deadline = time.monotonic() + 10
        while service.context.subscriptions.count("local:read"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
