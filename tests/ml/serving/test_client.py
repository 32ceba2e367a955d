"""When the prediction client asks again, and when it gives up. Answers from a real server: test_slot.py."""

from __future__ import annotations

import json

import httpx
import pytest

from ml.serving.client import ClientSettings, PredictionClient, PredictionError


class Script:
    """A server that gives prepared answers, one per request, and remembers what it was asked."""

    def __init__(self, *answers: int | Exception | bytes) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        texts = [row["input"] for row in json.loads(request.content)["instances"]]
        body: dict[str, object] = {"predictions": [len(text) for text in texts]} if answer == 200 else {"error": "no"}
        return httpx.Response(answer, json=body)

    def client(self, **settings: object) -> PredictionClient:
        return PredictionClient(
            "http://server",
            "m",
            ClientSettings(**settings),  # pyright: ignore[reportArgumentType] given by each test
            sleep=self.pauses.append,
            transport=httpx.MockTransport(self),
        )


def test_request_is_sent_again_when_the_server_was_busy_or_away() -> None:
    script = Script(503, httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 200)
    assert list(script.client().predict(["abc"])) == [3]
    assert len(script.requests) == 4
    assert all(later > earlier * 0.9 for earlier, later in zip(script.pauses, script.pauses[1:], strict=False))


def test_request_is_not_sent_again_when_it_was_refused() -> None:
    script = Script(400)
    with pytest.raises(PredictionError, match="answered 400") as refused:
        list(script.client().predict(["abc"]))
    assert refused.value.status == 400
    assert len(script.requests) == 1


def test_last_failure_is_raised_when_all_attempts_fail() -> None:
    script = Script(503, 504, httpx.ConnectError("connection refused"))
    with pytest.raises(PredictionError, match="connection refused") as failed:
        list(script.client(attempts=3).predict(["abc"]))
    assert failed.value.status is None
    assert len(script.pauses) == 2


def test_batches_are_sent_as_needed_when_texts_are_many() -> None:
    script = Script(200, 200, 200)
    assert list(script.client(batch_size=2).predict(iter(["a", "bb", "ccc", "dddd", "eeeee"]))) == [1, 2, 3, 4, 5]
    assert len(script.requests) == 3
    assert list(Script().client().predict([])) == []


def test_headers_are_sent_when_they_are_set() -> None:
    script = Script(200)
    list(script.client(headers={"Host": "ml.example.org", "x-user-id": "u1"}).predict(["a"]))
    assert script.requests[0].headers["host"] == "ml.example.org"
    assert script.requests[0].headers["x-user-id"] == "u1"
    assert script.requests[0].url.path == "/v1/models/m:predict"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"outputs": [1]}', b'{"predictions": 1}', b'{"predictions": []}']
)
def test_answer_is_refused_when_it_does_not_fit_the_request(body: bytes) -> None:
    with pytest.raises(PredictionError, match="the answer"):
        list(Script(body).client().predict(["a"]))


def test_settings_are_refused_when_they_make_no_sense() -> None:
    with pytest.raises(ValueError, match="allowed are"):
        ClientSettings(batch_size=0)
    with pytest.raises(ValueError, match="allowed are"):
        ClientSettings(attempts=0)
    with pytest.raises(ValueError, match="allowed are"):
        ClientSettings(timeout_seconds=0)
    with pytest.raises(ValueError, match="allowed are"):
        ClientSettings(first_pause_seconds=-1)
