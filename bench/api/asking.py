"""Asks a running API every kind of question many times over one connection, and takes the time of each answer."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bench.api.filling import LONG, MODELS, Filled
from bench.api.process import Served
from bench.processor import processor_seconds
from ml.api.documentation import BASE_PATH
from ml.api.graphql.router import GRAPHQL_PATH
from ml.api.page.security import BASE_PATH as PAGE_PATH
from ml.api.page.security import COOKIE

BAR_MS: Final = 50.0
_ROUNDS: Final = 200
_WARM_UP: Final = 10
_TIMEOUT_SECONDS: Final = 30.0
_SUMMARY: Final = """
    id name model phase reason message createdAt startedAt endedAt winner weights { slot weight } position createdBy"""
_GRAPHQL_LIST: Final = f"""
query($after: String) {{
  experiments(first: 50, after: $after) {{ nodes {{ {_SUMMARY} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
_GRAPHQL_ONE: Final = f"query($name: String!) {{ experiment(name: $name) {{ {_SUMMARY} spec plan %s }} }}"
_GRAPHQL_DECISIONS: Final = "decisions(first: 100) { position at action reasons weights { slot weight } hash document }"
_GRAPHQL_MODELS: Final = """
query { models { name champion versions { version run metrics at } slots { name version at } } }"""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request; a body makes it a POST."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, Any] | None = None
    status: int = 200


Ask = Callable[[int], Question]
"""The question of a round: another experiment, model or user each time."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long the answers to one kind of question took."""

    what: str
    milliseconds: Sequence[float]
    processor_milliseconds: float
    """Of API and database, on average: what an answer takes at least, however busy the machine is with other things."""
    largest_bytes: int

    def percentile(self, share: float) -> float:
        """Return a percentile in milliseconds."""
        return float(np.percentile(self.milliseconds, share))


def measure(served: Served, filled: Filled, database: int) -> list[Times]:
    """Ask everything.

    Args:
        served: the API.
        filled: what there is to ask for.
        database: process id of the PostgreSQL server.

    Raises:
        RuntimeError: an answer was not the one expected, so that its time would say nothing.
    """
    client = Client(served, database)
    try:
        return [client.time(what, ask) for what, ask in _questions(client, filled)]
    finally:
        client.close()


def _questions(client: Client, filled: Filled) -> list[tuple[str, Ask]]:
    places = client.places()

    def uid(n: int) -> str:
        return filled.ended[n * 97 % len(filled.ended)]

    def listed(**query: str) -> Question:
        return _rest("?" + "&".join(f"{name}={value}" for name, value in query.items()))

    return [
        ("list: 50 newest", lambda _n: listed(limit="50")),
        ("list: 200 newest", lambda _n: listed(limit="200")),
        ("list: page of 50 anywhere, by cursor", lambda n: listed(limit="50", cursor=places[n % len(places)])),
        ("list: last page", lambda _n: listed(limit="50", cursor=places[-1])),
        ("list: by model", lambda n: listed(model=MODELS[n % len(MODELS)])),
        ("list: by phase", lambda _n: listed(phase="RolledBack")),
        ("list: by model and phase", lambda n: listed(model=MODELS[n % len(MODELS)], phase="Inconclusive")),
        ("list: active only", lambda _n: listed(active="true")),
        ("list: by beginning of name", lambda n: listed(name=f"test-copy-{n % 99:03d}")),
        ("list: nothing matches", lambda n: listed(model=MODELS[n % len(MODELS)], phase="Invalid")),
        ("show by name", lambda n: _rest(f"/test-{uid(n)}")),
        ("show by id", lambda n: _rest(f"/{uid(n)}")),
        ("show, not modified (304)", lambda n: client.unchanged(uid(n % 20))),
        ("history of 96 events", lambda n: _rest(f"/{uid(n)}/history")),
        ("history: 100 of 40,000, anywhere", lambda n: _rest(f"/{LONG}/history?after={n * 197 % 40_000}")),
        (
            "history: 1,000 of 40,000 (the most)",
            lambda n: _rest(f"/{LONG}/history?after={n * 197 % 39_000}&limit=1000"),
        ),
        ("decisions: 67 with evidence", lambda n: _rest(f"/{uid(n)}/decisions")),
        ("decisions: 100 of 40,000, anywhere", lambda n: _rest(f"/{LONG}/decisions?after={n * 197 % 39_900}")),
        (
            "decisions: 200 of 40,000 (the most)",
            lambda n: _rest(f"/{LONG}/decisions?after={n * 197 % 39_800}&limit=200"),
        ),
        ("commands", lambda n: _rest(f"/{uid(n)}/commands")),
        ("results with timeline", lambda n: _rest(f"/{uid(n)}/results")),
        ("results with timeline of 40,000 decisions", lambda _n: _rest(f"/{LONG}/results")),
        ("assignment of a user", lambda n: _rest(f"/assignments?model={MODELS[n % len(MODELS)]}&userId=user-{n}")),
        *_graphql_questions(uid, places),
        *_page_questions(client, uid, places),
    ]


def _graphql_questions(uid: Callable[[int], str], places: Sequence[str]) -> list[tuple[str, Ask]]:
    return [
        ("GraphQL: 50 newest", lambda _n: _graphql(_GRAPHQL_LIST)),
        ("GraphQL: page of 50 anywhere", lambda n: _graphql(_GRAPHQL_LIST, after=places[n % len(places)])),
        ("GraphQL: one experiment", lambda n: _graphql(_GRAPHQL_ONE % "", name=uid(n))),
        ("GraphQL: 67 decisions", lambda n: _graphql(_GRAPHQL_ONE % _GRAPHQL_DECISIONS, name=uid(n))),
        ("GraphQL: 100 newest of 40,000 decisions", lambda _n: _graphql(_GRAPHQL_ONE % _GRAPHQL_DECISIONS, name=LONG)),
        ("GraphQL: results", lambda n: _graphql(_GRAPHQL_ONE % "results", name=uid(n))),
        ("GraphQL: results of 40,000 decisions", lambda _n: _graphql(_GRAPHQL_ONE % "results", name=LONG)),
        ("GraphQL: all models, versions and slots", lambda _n: _graphql(_GRAPHQL_MODELS)),
    ]


def _page_questions(client: Client, uid: Callable[[int], str], places: Sequence[str]) -> list[tuple[str, Ask]]:
    return [
        ("page: list", lambda _n: client.page("")),
        ("page: list anywhere", lambda n: client.page(f"?cursor={places[n % len(places)]}")),
        ("page: one experiment", lambda n: client.page(f"/experiments/test-{uid(n)}")),
        ("page: one of 40,000 decisions", lambda _n: client.page(f"/experiments/test-{LONG}")),
        ("page: the same, not modified (304)", lambda _n: client.unchanged_page(f"/experiments/test-{uid(0)}")),
    ]


def _rest(path: str) -> Question:
    return Question(path=f"{BASE_PATH}{path}")


def _graphql(query: str, **variables: str) -> Question:
    return Question(path=GRAPHQL_PATH, body={"query": query, "variables": variables})


class Client:
    """One connection, and what was learned over it."""

    def __init__(self, served: Served, database: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=_TIMEOUT_SECONDS)
        self._token = served.token
        self._pids = (served.pid, database)
        self._etags: dict[str, str] = {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def time(self, what: str, ask: Ask) -> Times:
        """Ask many times, after some times that do not count."""
        for number in range(_WARM_UP):
            self._answer(ask(number))
        questions = [ask(_WARM_UP + number) for number in range(_ROUNDS)]
        times: list[float] = []
        largest, used = 0, processor_seconds(self._pids)
        for question in questions:
            started = time.perf_counter()
            body, _ = self._answer(question)
            times.append(1e3 * (time.perf_counter() - started))
            largest = max(largest, len(body))
        used = processor_seconds(self._pids) - used
        return Times(what=what, milliseconds=times, processor_milliseconds=1e3 * used / _ROUNDS, largest_bytes=largest)

    def places(self) -> list[str]:
        """Return where pages of the list begin, from the first to the last."""
        found: list[str] = []
        cursor = ""
        while True:
            body, _ = self._answer(_rest(f"?limit=200{cursor}"))
            following = json.loads(body)["nextCursor"]
            if following is None:
                return found
            found.append(following)
            cursor = f"&cursor={following}"

    def unchanged(self, uid: str) -> Question:
        """Return a question for an experiment that is as it was seen before."""
        return self._unchanged(_rest(f"/{uid}"))

    def page(self, path: str, **headers: str) -> Question:
        """Return a question for a page, as a browser asks that has signed in."""
        return Question(path=f"{PAGE_PATH}{path}", headers={"cookie": f"{COOKIE}={self._token}", **headers})

    def unchanged_page(self, path: str) -> Question:
        """Return a question for a page that is as it was seen before."""
        return self._unchanged(self.page(path))

    def _unchanged(self, question: Question) -> Question:
        if question.path not in self._etags:
            _, headers = self._answer(question)
            self._etags[question.path] = str(headers["etag"])
        headers = {**question.headers, "if-none-match": self._etags[question.path]}
        return Question(path=question.path, headers=headers, status=304)

    def _answer(self, question: Question) -> tuple[bytes, http.client.HTTPMessage]:
        headers = {"authorization": f"Bearer {self._token}", **question.headers}
        body = None
        if question.body is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(question.body)
        self._connection.request("GET" if body is None else "POST", question.path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != question.status or b'"errors"' in answer[:200]:
            raise RuntimeError(f"{question.path}: HTTP {response.status} {answer[:500]!r}")
        return answer, response.headers
