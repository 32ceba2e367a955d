"""What stands before every route: tokens, scopes, rates, bodies. Whatever is refused, nothing is written."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ml.api.settings import Rates
from ml.api.strict_json import MAX_BODY_BYTES
from tests.ml.api.service import MODEL, SPEC, TOKENS, Service

pytestmark = pytest.mark.slow
BASE = "/ml/ab-tests"
CREATE = {"name": "guarded", "spec": SPEC}
OUTCOME = {"id": "guarded-1", "model": MODEL, "userId": "u"}
ROUTES = [
    ("GET", BASE, None, "read"),
    ("GET", f"{BASE}/x", None, "read"),
    ("GET", f"{BASE}/x/history", None, "read"),
    ("GET", f"{BASE}/x/decisions", None, "read"),
    ("GET", f"{BASE}/x/results", None, "read"),
    ("GET", f"{BASE}/x/commands", None, "read"),
    ("GET", f"{BASE}/assignments?model={MODEL}&userId=u", None, "read"),
    ("POST", BASE, CREATE, "write"),
    ("POST", f"{BASE}/outcomes", OUTCOME, "write"),
    ("POST", f"{BASE}/x/stop", {"why": "because"}, "decide"),
    ("POST", "/ml/graphql", {"query": "{models{name}}"}, "read"),
]


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "errors"}
    assert (problem["status"], problem["instance"]) == (status, answer.headers["x-request-id"])
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Basic abc", f"Bearer {TOKENS['decide']}x", "Bearer " + "x" * 9000, "Bearer a.b.c"]
)
def test_every_route_refuses_when_the_token_is_missing_or_wrong(
    service: Service, method: str, path: str, body: Any, scope: str, header: str | None
) -> None:
    before = service.written()
    with service.client(None) as client:
        headers = {} if header is None else {"authorization": header}
        answer = client.request(method, path, json=body, headers=headers)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert service.written() == before


@pytest.mark.parametrize(("method", "path", "body", "scope"), [route for route in ROUTES if route[3] != "read"])
def test_a_route_refuses_when_the_token_lacks_the_scope(
    service: Service, method: str, path: str, body: Any, scope: str
) -> None:
    before = service.written()
    for weaker in ("read",) if scope == "write" else ("read", "write"):
        with service.client(weaker) as client:
            problem = assert_problem(client.request(method, path, json=body), 403)
        assert scope in problem["detail"]
    assert service.written() == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "line 1"),
        (b"{", "line 1"),
        (b"nonsense", "line 1"),
        (b'{"name": "a", "name": "b"}', "twice"),
        (b'{"value": NaN}', "NaN"),
        (b'{"value": Infinity}', "Infinity"),
        (b'{"value": 1e999}', "out of range"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "nested"),
        (b'{"a": "\\u0000"}', "U+0000"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"why": "x"} trailing', "line 1"),
    ],
)
@pytest.mark.parametrize(
    ("path", "scope"), [(BASE, "write"), (f"{BASE}/outcomes", "write"), (f"{BASE}/x/stop", "decide")]
)
def test_a_body_is_refused_when_it_is_no_acceptable_json(
    service: Service, path: str, scope: str, body: bytes, words: str
) -> None:
    before = service.written()
    with service.client(scope) as client:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert words in assert_problem(answer, 400)["detail"]
    assert service.written() == before


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"text"', b"true", b"{}"])
@pytest.mark.parametrize(
    ("path", "scope"), [(BASE, "write"), (f"{BASE}/outcomes", "write"), (f"{BASE}/x/stop", "decide")]
)
def test_a_body_is_refused_when_it_is_json_of_another_shape(
    service: Service, path: str, scope: str, body: bytes
) -> None:
    before = service.written()
    with service.client(scope) as client:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert assert_problem(answer, 422)["errors"]
    assert service.written() == before


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_is_refused_when_it_is_not_called_json(service: Service, media_type: str) -> None:
    with service.client("write") as client:
        answer = client.post(BASE, content=json.dumps(CREATE), headers={"content-type": media_type})
    assert "application/json" in assert_problem(answer, 415)["detail"]


def test_a_body_is_refused_when_it_announces_to_be_too_large(service: Service) -> None:
    with service.client("write") as client:
        answer = client.post(BASE, content=b" " * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"})
    assert str(MAX_BODY_BYTES) in assert_problem(answer, 413)["detail"]


@pytest.mark.parametrize("path", [BASE, "/ml/graphql"])
def test_a_body_is_refused_while_it_is_read_when_it_does_not_say_how_large_it_is(service: Service, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    with service.client("write") as client:
        answer = client.post(path, content=chunks(), headers={"content-type": "application/json"})
    assert_problem(answer, 413)


def test_a_body_is_taken_when_it_is_as_large_as_allowed(service: Service) -> None:
    text = json.dumps({"name": "Wrong Name", "spec": SPEC}).encode()
    with service.client("write") as client:
        answer = client.post(BASE, content=text.ljust(MAX_BODY_BYTES), headers={"content-type": "application/json"})
    assert_problem(answer, 422)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", BASE, 405),
        ("PUT", f"{BASE}/x", 405),
        ("GET", f"{BASE}/x/stop", 405),
        ("TRACE", BASE, 405),
        ("POST", f"{BASE}/x/explode", 422),
        ("GET", f"{BASE}/x/y/z", 404),
        ("GET", "/", 404),
        ("GET", f"{BASE}/", 404),
        ("GET", "/ml/other", 404),
    ],
)
def test_other_paths_and_methods_get_a_problem_document(service: Service, method: str, path: str, status: int) -> None:
    with service.client("decide") as client:
        answer = client.request(method, path, json={"why": "x"} if method == "POST" else None)
    assert_problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{BASE}/%00"),
        ("GET", f"{BASE}/a%00b/history"),
        ("GET", f"{BASE}?name=%00"),
        ("GET", f"{BASE}?%00"),
        ("GET", f"{BASE}/assignments?model={MODEL}&userId=a%00b"),
        ("POST", f"{BASE}/%00/pause"),
        ("GET", "/%00"),
    ],
)
def test_an_address_is_refused_when_it_holds_a_character_that_nothing_has(
    service: Service, method: str, path: str
) -> None:
    before = service.written()
    with service.client("decide") as client:
        answer = client.request(method, path, json={"why": "x"} if method == "POST" else None)
    assert "U+0000" in assert_problem(answer, 400)["detail"]
    assert service.written() == before


@pytest.mark.parametrize("path", ["?name=%00", "/experiments/%00", "/experiments/%00/pause", "/sign-in?next=%00"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_of_the_page_is_refused_with_a_page_when_it_holds_such_a_character(
    service: Service, method: str, path: str
) -> None:
    with httpx.Client(base_url=service.url, cookies={"mlp_page_token": TOKENS["decide"]}) as client:
        answer = client.request(method, f"{BASE}/ui{path}", data={"why": "x"} if method == "POST" else None)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert "U+0000" in answer.text


def test_answers_carry_an_id_and_security_headers_when_anything_is_asked(service: Service) -> None:
    with service.client() as client:
        own = client.get(BASE, headers={"x-request-id": "my-request-0001"})
        bad = client.get(BASE, headers={"x-request-id": "<script>"})
    assert own.headers["x-request-id"] == "my-request-0001"
    assert len(bad.headers["x-request-id"]) == 32
    assert own.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in own.headers["content-security-policy"]
    assert own.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in own.headers
    assert "server" not in own.headers


def test_a_client_is_slowed_down_when_it_asks_too_often() -> None:
    service = Service(rates=Rates(reads_per_second=1, writes_per_second=1, outcomes_per_second=10))
    try:
        with service.client("write") as client:
            answers = [client.get(BASE) for _ in range(12)]
            batch = [{**OUTCOME, "id": f"o-{n}"} for n in range(20)]
            bulk = [client.post(f"{BASE}/outcomes", json={"outcomes": batch}) for _ in range(2)]
        with service.client("read") as other:
            assert other.get(BASE).status_code == 200
    finally:
        service.stop()
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert answers[0].status_code == 200
    assert int(refused[0].headers["retry-after"]) >= 1
    assert_problem(refused[0], 429)
    assert [answer.status_code for answer in bulk] == [200, 429]


def test_a_key_serves_again_when_its_request_came_too_often() -> None:
    service = Service(rates=Rates(outcomes_per_second=20))
    batch = {"outcomes": [{**OUTCOME, "id": f"late-{n}"} for n in range(30)]}
    try:
        with service.client("write") as client:
            assert client.post(f"{BASE}/outcomes", json={"outcomes": batch["outcomes"][:20]}).status_code == 200
            answers: list[httpx.Response] = []
            deadline = time.monotonic() + 20
            while not answers or answers[-1].status_code == 429:
                assert time.monotonic() < deadline
                answers.append(client.post(f"{BASE}/outcomes", json=batch, headers={"idempotency-key": "late"}))
                time.sleep(float(answers[-1].headers.get("retry-after", 0)))
            written = service.written()
            again = client.post(f"{BASE}/outcomes", json=batch, headers={"idempotency-key": "late"})
    finally:
        service.stop()
    assert len(answers) > 1
    assert all("retry-after" in answer.headers for answer in answers[:-1])
    assert (answers[-1].status_code, written["outcomes"]) == (200, 30)
    assert (again.content, again.headers["idempotency-replayed"]) == (answers[-1].content, "true")


def test_the_process_answers_kubernetes_and_prometheus_when_asked_without_a_token(service: Service) -> None:
    with service.client(None) as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ok\n"
        client.get(f"{BASE}/some-experiment")
        text = client.get("/metrics").text
    assert 'mlplatform_api_requests_total{operation="show_experiment",status="401"}' in text
    assert "some-experiment" not in text


def test_half_a_request_does_no_harm_when_the_client_goes_away(service: Service) -> None:
    before = service.written()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = (
            f"POST {BASE}/outcomes HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {TOKENS['write']}\r\n"
            "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
        )
        connection.sendall(head.encode())
    with service.client() as client:
        assert client.get(BASE).status_code == 200
    assert service.written() == before
