"""What autoscalers ask Prometheus, evaluated by promtool: above all that missing data are no answer, and never a zero.

What this does not prove: that KEDA asks it. One look in 15 seconds, as where the stacks scale.
"""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import _alerts, _scaling
from components._scaling import Measure, Scaler
from tests.support.prometheus import binaries

pytestmark = pytest.mark.slow

WINDOW = _scaling.window_seconds(15)
STABLE = _scaling.in_flight("some_model", "stable", WINDOW)
CANDIDATE = _scaling.in_flight("some_model", "candidate-a", WINDOW)
API = _scaling.request_rate('mlplatform_api_requests_total{job="api"}', "api", WINDOW)
GPU = _scaling.gpu_use("research", "some-model-stable", sliced=False)
SLICED = _scaling.gpu_use("research", "some-model-stable", sliced=True)
UP = 'up{job="%s",instance="%s"}'
GATEWAY, OTHER = UP % ("gateway", "10.0.0.1"), UP % ("gateway", "10.0.0.2")
SPENT = 'istio_request_duration_milliseconds_sum{instance="%s",model="some-model",slot="%s",response_code="200"}'
STABLE_SPENT, CANDIDATE_SPENT = SPENT % ("10.0.0.1", "stable"), SPENT % ("10.0.0.1", "candidate-a")
HOLDS = 'mlplatform_sync_serving_version{model="some_model",alias="%s",instance="10.0.1.1"}'
ASKED = 'mlplatform_api_requests_total{job="api",instance="%s",operation="list",status="200"}'
USED = 'DCGM_FI_DEV_GPU_UTIL{namespace="research",pod="%s",gpu="0"}'
EIGHT, TWO, ALWAYS = "0+120000x40", "0+30000x40", "1x40"
"""Requests in hand: eight, and two; a second of them each takes a second. A sample every 15 s, ten minutes of them."""

CASES: list[tuple[str, str, dict[str, str], float | None]] = [
    ("eight are in hand", STABLE, {GATEWAY: ALWAYS, STABLE_SPENT: EIGHT}, 8),
    ("nobody asks", STABLE, {GATEWAY: ALWAYS}, 0),
    ("another slot is asked", CANDIDATE, {GATEWAY: ALWAYS, STABLE_SPENT: EIGHT}, 0),
    ("another slot is asked and this one holds a version", CANDIDATE,
     {GATEWAY: ALWAYS, STABLE_SPENT: EIGHT, HOLDS % "candidate-a": "3x40"}, 8),
    ("another slot is asked and this one lost its version", CANDIDATE,
     {GATEWAY: ALWAYS, STABLE_SPENT: EIGHT, HOLDS % "candidate-a": "3x30 0x10"}, 0),
    ("this one is asked more than the other", CANDIDATE,
     {GATEWAY: ALWAYS, STABLE_SPENT: TWO, CANDIDATE_SPENT: EIGHT}, 8),
    ("traffic has gone to the other slot during a promotion", STABLE,
     {GATEWAY: ALWAYS, STABLE_SPENT: "0+120000x20 2400000x20", CANDIDATE_SPENT: "0x20 0+120000x20",
      HOLDS % "champion": "3x40"}, 8),
    ("another model is asked", STABLE,
     {GATEWAY: ALWAYS, STABLE_SPENT.replace("some-model", "some-model-two"): EIGHT}, 0),
    ("two gateways share them", STABLE,
     {GATEWAY: ALWAYS, OTHER: ALWAYS, STABLE_SPENT: TWO, SPENT % ("10.0.0.2", "stable"): EIGHT}, 10),
    ("one of two gateways does not tell", STABLE, {GATEWAY: ALWAYS, OTHER: "0x40", STABLE_SPENT: EIGHT}, 16),
    ("no gateway answers", STABLE, {GATEWAY: "1x30 0x10", STABLE_SPENT: "0+120000x30"}, None),
    ("there is no gateway", STABLE, {UP % ("api", "x"): ALWAYS}, None),
    ("nothing at all is measured", STABLE, {}, None),
    ("Prometheus has just begun", STABLE, {GATEWAY: "_x38 1x2", STABLE_SPENT: "_x38 0+120000x2"}, None),
    ("the gateway came back a moment ago", STABLE, {GATEWAY: "1x10 0x28 1x2"}, None),
    ("the api is asked by two pods' counters", API,
     {UP % ("api", "a"): ALWAYS, UP % ("api", "b"): ALWAYS, ASKED % "a": "0+150x40", ASKED % "b": "0+300x40"}, 30),
    ("a new pod of the api is not counted twice", API,
     {UP % ("api", "a"): ALWAYS, UP % ("api", "b"): "_x38 0x2", ASKED % "a": "0+150x40"}, 10),
    ("nobody asks the api", API, {UP % ("api", "a"): ALWAYS}, 0),
    ("no pod of the api tells", API, {UP % ("api", "a"): "0x40"}, None),
    ("the cards of two pods are busy", GPU,
     {USED % "some-model-stable-7f9c-abcde": "90x40", USED % "some-model-stable-7f9c-fghij": "70x40"}, 80),
    ("cards of other Deployments are busy", GPU,
     {USED % "some-model-stable-b-7f9c-abcde": "90x40", USED % "some-model-candidate-a-7f9c-abcde": "90x40"}, None),
    ("no card is measured", GPU, {GATEWAY: ALWAYS}, None),
    ("a slice is busy", SLICED,
     {'DCGM_FI_PROF_GR_ENGINE_ACTIVE{namespace="research",pod="some-model-stable-7f9c-abcde"}': "0.5x40"}, 50),
]  # fmt: skip
"""Situation, question, series with a sample every 15 s, and the answer at the end; None is no answer."""


def evaluate(folder: Path, series: dict[str, str], expected: list[dict[str, Any]], *scalers: Scaler) -> None:
    """Hold answers against the platform's own rules over these series; fail with what they are instead."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(_alerts.rule_groups("istio", 15, scalers), width=10_000))
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": expected,
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "15s", "tests": [test]}
    (folder / "test.yaml").write_text(yaml.safe_dump(document, width=10_000))
    command = [str(binaries() / "promtool"), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def answer(query: str, at: str, value: float | None) -> dict[str, Any]:
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {"expr": query, "eval_time": at, "exp_samples": samples}


@pytest.mark.parametrize(("query", "series", "value"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_answer_is_the_need_or_none_when_asked(
    tmp_path: Path, query: str, series: dict[str, str], value: float | None
) -> None:
    evaluate(tmp_path, series, [answer(query, "9m45s", value)])


def test_enough_pods_are_asked_for_within_a_minute_when_the_load_triples(tmp_path: Path) -> None:
    series = {GATEWAY: ALWAYS, STABLE_SPENT: "0+120000x20 2760000+360000x20"}
    evaluate(tmp_path, series, [answer(STABLE, "5m", 8), answer(STABLE, "5m30s", 16), answer(STABLE, "6m", 24)])
    (before, soon, within_a_minute) = (math.ceil(value / 4) for value in (8, 16, 24))
    assert (before, soon, within_a_minute) == (2, 4, 6), "the pods that Kubernetes makes of it, four in hand each"


def test_rules_tell_what_each_measure_asks_for_when_a_part_is_scaled(tmp_path: Path) -> None:
    measures = (
        Measure(name="concurrency", query=STABLE, target=4),
        Measure(name="gpu", query=GPU, target=80, metric_type="Value"),
    )
    scaler = Scaler(name="some-model-stable", minimum=1, maximum=5, cpu_percent=70, measures=measures)
    wanted = (_scaling.WANTED_SERIES, '{measure="concurrency",scaler="some-model-stable"}', 2)
    most = (_scaling.MOST_SERIES, '{scaler="some-model-stable"}', 5)
    expected = [
        {"expr": f"round({name}, 0.001)", "eval_time": "9m45s", "exp_samples": [{"labels": labels, "value": value}]}
        for name, labels, value in (wanted, most)
    ]
    evaluate(tmp_path, {GATEWAY: ALWAYS, STABLE_SPENT: EIGHT, USED % "x": "50x40"}, expected, scaler)


def test_autoscaler_is_said_to_be_blind_when_its_gateway_is_silent(tmp_path: Path) -> None:
    measure = Measure(name="concurrency", query=STABLE, target=4)
    scaler = Scaler(name="some-model-stable", minimum=1, maximum=5, cpu_percent=70, measures=(measure,))
    blind = 'count(ALERTS{alertname="AutoscalerBlind",scaler="some-model-stable",alertstate="firing"}) or vector(0)'
    series = {GATEWAY: "1x10 0x30", STABLE_SPENT: "0+120000x10"}
    evaluate(tmp_path, series, [answer(blind, "2m", 0), answer(blind, "9m45s", 1)], scaler)
