"""Requests from Prometheus: what its answers become, and a real Prometheus with gateways that come and go."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml.contracts import GATEWAY_LATENCY_SERIES, GATEWAY_REQUESTS_SERIES
from ml.controller.ports import RequestTotal, RequestWindow, UnavailableError
from ml.controller.requests import PrometheusRequests, read_series
from tests.ml.controller.shell.answers import Answers, serving
from tests.support.ports import free_port
from tests.support.prometheus import binaries, running

MODEL, KUBE_MODEL = "content_quality_model", "content-quality-model"
RULES = f"""
groups:
- name: gateway
  rules:
  - record: {GATEWAY_REQUESTS_SERIES}
    expr: sum by (instance, model, slot, code_class) (gateway_requests)
  - record: {GATEWAY_LATENCY_SERIES}
    expr: sum by (instance, model, slot, le) (gateway_latency_bucket)
"""


def ask(url: str, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
    async def inside() -> Mapping[str, RequestWindow]:
        async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client:
            return await PrometheusRequests(client).since(moments)

    return asyncio.run(inside())


def answered(answers: Mapping[str, Any], moments: Mapping[str, float]) -> tuple[Mapping[str, RequestWindow], list[str]]:
    """Ask a Prometheus that gives prepared answers; also return the questions."""
    questions: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        query = httpx.QueryParams(request.content.decode())["query"]
        questions.append(query)
        data = next(value for start, value in answers.items() if query.startswith(start))
        if isinstance(data, httpx.Response):
            return data
        return httpx.Response(200, json={"status": "success", "data": data})

    async def inside() -> Mapping[str, RequestWindow]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://p") as client:
            return await PrometheusRequests(client).since(moments)

    return asyncio.run(inside()), questions


NOW = {"resultType": "scalar", "result": [1000.5, "1000.5"]}
EMPTY: dict[str, Any] = {"resultType": "matrix", "result": []}


def matrix(*values: tuple[float, str], **labels: str) -> dict[str, Any]:
    metric = {"instance": "a", "model": KUBE_MODEL, "slot": "stable", **labels}
    return {"metric": metric, "values": [list(pair) for pair in values]}


def test_three_questions_are_asked_when_there_are_many_models() -> None:
    moments = {f"model_{k}": 900.5 + k for k in range(50)}
    found, questions = answered({"time": NOW, "mlplatform": EMPTY}, moments)
    assert questions == ["time()", f"{GATEWAY_REQUESTS_SERIES}[101000ms]", f"{GATEWAY_LATENCY_SERIES}[101000ms]"]
    assert set(found) == set(moments)
    assert all(window == RequestWindow(counts=[], newest_at=None) for window in found.values())


def test_only_the_models_are_asked_for_when_they_are_few() -> None:
    _, questions = answered({"time": NOW, "mlplatform": EMPTY}, {"b_b": 1000.0, "a_a": 1000.0})
    assert questions[1] == f'{GATEWAY_REQUESTS_SERIES}{{model=~"a-a|b-b"}}[1500ms]'


def test_no_more_than_an_hour_is_asked_for_when_the_controller_was_away_for_long() -> None:
    _, questions = answered(
        {"time": {"resultType": "scalar", "result": [0, "90000"]}, "mlplatform": EMPTY}, {"m_m": 5.0}
    )
    assert questions[1].endswith("[3601000ms]")


def test_nothing_is_asked_when_no_model_is_watched() -> None:
    assert answered({}, {}) == ({}, [])


def test_counts_come_by_registry_name_when_series_have_the_kubernetes_name() -> None:
    requests = {"resultType": "matrix", "result": [matrix((990, "5"), (1000, "8"), code_class="2xx")]}
    buckets = [matrix((990, "1"), (1000, "2"), le="100"), matrix((990, "5"), (1000, "8"), le="+Inf")]
    found, _ = answered(
        {
            "time": NOW,
            GATEWAY_REQUESTS_SERIES: requests,
            GATEWAY_LATENCY_SERIES: {"resultType": "matrix", "result": buckets},
        },
        {MODEL: 980},
    )
    (count,) = found[MODEL].counts
    assert (count.requests, count.failed, dict(count.above)) == (3, 0, {100: 2})
    assert found[MODEL].newest_at == 1000


NONSENSE: list[Any] = [
    httpx.Response(503, text="unavailable"),
    httpx.Response(200, json={"status": "error", "error": "bad"}),
    httpx.Response(200, json=[]),
    {"resultType": "vector", "result": []},
    {"resultType": "matrix", "result": [{"metric": {"instance": "a"}, "values": []}]},
    {
        "resultType": "matrix",
        "result": [matrix((1, "1"), code_class="2xx"), matrix((1, "1"), code_class="2xx", pod="b")],
    },
    {"resultType": "matrix", "result": [matrix((1, "many"), code_class="2xx")]},
    {"resultType": "matrix", "result": [{"metric": {}, "values": 3}]},
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_nothing_is_counted_when_the_answer_is_nonsense(answer: object) -> None:
    with pytest.raises(UnavailableError):
        answered({"time": NOW, GATEWAY_REQUESTS_SERIES: answer, GATEWAY_LATENCY_SERIES: EMPTY}, {MODEL: 980})


def test_edge_is_refused_when_it_is_no_number() -> None:
    with pytest.raises(ValueError, match="ten"):
        read_series({"resultType": "matrix", "result": [matrix((1, "1"), le="ten")]}, "le")


def test_nothing_is_known_when_prometheus_is_away() -> None:
    with pytest.raises(UnavailableError, match="ConnectError"):
        ask("http://127.0.0.1:9", {MODEL: time.time()})


# A real Prometheus ---------------------------------------------------------------------------------------------------
class Gateway:
    """What a gateway instance counts, in the form in which it is scraped."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.restart()

    def restart(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.slow: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self._publish()

    def serve(self, slot: str, *, ok: int, failed: int = 0, slow: int = 0) -> None:
        self.counts[slot, "2xx"] = self.counts.get((slot, "2xx"), 0) + ok
        if failed:
            self.counts[slot, "5xx"] = self.counts.get((slot, "5xx"), 0) + failed
        self.total[slot] = self.total.get(slot, 0) + ok + failed
        self.slow[slot] = self.slow.get(slot, 0) + slow
        self._publish()

    def _publish(self) -> None:
        lines = ["# TYPE gateway_requests counter"]
        for (slot, code), value in self.counts.items():
            lines.append(f'gateway_requests{{model="{KUBE_MODEL}",slot="{slot}",code_class="{code}"}} {value}')
        lines.append("# TYPE gateway_latency histogram")
        for slot, value in self.total.items():
            labels = f'model="{KUBE_MODEL}",slot="{slot}"'
            lines.append(f'gateway_latency_bucket{{{labels},le="100"}} {value - self.slow[slot]}')
            lines.append(f'gateway_latency_bucket{{{labels},le="+Inf"}} {value}')
        self._answers.by_path["/metrics"] = (200, "\n".join(lines) + "\n")


def totals(window: RequestWindow, slot: str) -> tuple[float, float, float]:
    mine = [count for count in window.counts if count.slot == slot]
    return sum(c.requests for c in mine), sum(c.failed for c in mine), sum(c.above.get(100, 0) for c in mine)


def scraped_at(url: str) -> list[float]:
    """Return per gateway when it was last scraped; one that is gone is left out."""
    query = 'timestamp(gateway_requests{slot="stable", code_class="2xx"})'
    found = httpx.post(f"{url}/api/v1/query", data={"query": query}, trust_env=False).json()["data"]["result"]
    return [float(entry["value"][1]) for entry in found]


def settle(url: str, since: float, *, gateways: int = 2) -> RequestWindow:
    """Return what is known once every gateway was scraped anew and the rules were evaluated after that."""
    begun = time.time()
    scraped: float | None = None
    while time.time() < begun + 30:
        moments = scraped_at(url)
        if scraped is None and len(moments) == gateways and min(moments) > begun:
            scraped = time.time()
        found = ask(url, {MODEL: since})[MODEL]
        if scraped is not None and found.newest_at is not None and found.newest_at > scraped:
            return found
        time.sleep(0.3)
    raise AssertionError("Prometheus has no new samples")


@pytest.mark.slow
def test_requests_are_those_that_were_served_when_prometheus_is_real(tmp_path: Path) -> None:
    port = free_port()
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "900ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "gateway", "static_configs": [{"targets": [f"127.0.9.7:{port}", f"127.0.9.8:{port}"]}]}
        ],
    }
    started = time.time()
    with running(tmp_path, json.dumps(configuration)) as url, serving("127.0.9.7", port) as a:
        first = Gateway(a)
        first.serve("stable", ok=1000)
        with serving("127.0.9.8", port) as b:
            second = Gateway(b)
            second.serve("stable", ok=500)
            since = settle(url, started).newest_at
            assert since is not None
            first.serve("stable", ok=40, slow=3)
            second.serve("stable", ok=20, failed=2, slow=1)
            first.serve("candidate-a", ok=7, failed=1, slow=5)
            found = settle(url, since)
            assert totals(found, "stable") == (62, 2, 4)
            assert totals(found, "candidate-a") == (8, 1, 5)

            since = found.newest_at
            assert since is not None
            second.restart()
            second.serve("stable", ok=9)
            assert totals(settle(url, since), "stable") == (9, 0, 0), "a restarted gateway counts from zero"
            since = settle(url, since).newest_at
            assert since is not None
            _scrape_nonsense(url, b, second)
        # One gateway is gone: nothing of it is zero, the other goes on.
        time.sleep(3)
        gone = settle(url, since, gateways=1).newest_at
        assert gone is not None
        first.serve("stable", ok=11)
        found = settle(url, gone, gateways=1)
        assert totals(found, "stable") == (11, 0, 0)
        assert all(count.requests in (0, 11) for count in found.counts)


def _scrape_nonsense(url: str, answers: Answers, gateway: Gateway) -> None:
    """A gateway that answers NaN for a while takes its moments out, and what follows is counted in full."""
    sound = answers.by_path["/metrics"]
    since = settle(url, time.time() - 10).newest_at
    assert since is not None
    answers.by_path["/metrics"] = (200, sound[1].replace("} 9\n", "} NaN\n"))
    time.sleep(2.5)
    newest = ask(url, {MODEL: since})[MODEL].newest_at
    assert newest is not None
    assert newest < time.time() - 1.0, "moments with NaN do not make the data fresh"
    answers.by_path["/metrics"] = sound
    gateway.serve("stable", ok=4)
    assert totals(settle(url, since), "stable") == (4, 0, 0)


@pytest.mark.slow
def test_data_grow_old_when_all_gateways_are_gone(tmp_path: Path) -> None:
    port = free_port()
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "900ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [f"127.0.9.7:{port}"]}]}],
    }
    started = time.time()
    with running(tmp_path, json.dumps(configuration)) as url:
        with serving("127.0.9.7", port) as a:
            Gateway(a).serve("stable", ok=10)
            settle(url, started, gateways=1)
        time.sleep(2)
        first = ask(url, {MODEL: started})[MODEL]
        time.sleep(3)
        second = ask(url, {MODEL: started})[MODEL]
    assert first == second
    assert second.newest_at is not None
    assert time.time() - second.newest_at > 3


# Totals over days -----------------------------------------------------------------------------------------------------
DAY = 86_400


def total(url: str, model: str, seconds: float) -> RequestTotal:
    async def inside() -> RequestTotal:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            return await PrometheusRequests(client).total(model, seconds)

    return asyncio.run(inside())


def remember_days(folder: Path, now: int) -> None:
    """Write a Prometheus' data: two gateways that serve 60 and 30 requests a minute for three days; one began anew."""
    lines = [f"# TYPE {GATEWAY_REQUESTS_SERIES} unknown"]
    for instance, slot, per_minute in (("a", "stable", 60), ("b", "candidate-a", 30)):
        labels = f'instance="{instance}",model="{KUBE_MODEL}",slot="{slot}",code_class="2xx"'
        for minute in range(3 * 24 * 60 + 1):
            value = per_minute * (minute % 2000 if instance == "b" else minute)
            lines.append(f"{GATEWAY_REQUESTS_SERIES}{{{labels}}} {value} {now - 3 * DAY + 60 * minute}")
    (folder / "history.txt").write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    command = [str(binaries() / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "history.txt", "data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_days_of_requests_are_summed_over_slots_and_restarts_when_prometheus_is_real(tmp_path: Path) -> None:
    remember_days(tmp_path, int(time.time()))
    with running(tmp_path, json.dumps({"global": {"scrape_interval": "1m"}})) as url:
        week = total(url, MODEL, 7 * DAY)
        day = total(url, MODEL, DAY)
        nobody = total(url, "another_model", 7 * DAY)
    assert week.requests == pytest.approx(3 * 24 * 60 * 90, rel=0.002)
    assert week.seconds == pytest.approx(3 * DAY, abs=3600)
    assert day.requests == pytest.approx(24 * 60 * 90, rel=0.002)
    assert day.seconds == pytest.approx(DAY, abs=3600)
    assert nobody == RequestTotal(requests=0.0, seconds=0.0)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="unavailable"),
        httpx.Response(200, json={"status": "error", "error": "bad"}),
        httpx.Response(200, json={"status": "success", "data": {"result": [{"value": [0, "NaN"]}]}}),
        httpx.Response(200, json={"status": "success", "data": {"result": [{"value": [0, "many"]}]}}),
        httpx.Response(200, json={"status": "success", "data": {}}),
    ],
)
def test_no_total_is_known_when_the_answer_is_nonsense(answer: httpx.Response) -> None:
    async def inside() -> RequestTotal:
        transport = httpx.MockTransport(lambda _: answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://p") as client:
            return await PrometheusRequests(client).total(MODEL, DAY)

    with pytest.raises(UnavailableError):
        asyncio.run(inside())
