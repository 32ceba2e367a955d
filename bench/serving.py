"""Predictions through the gateway and straight to the slot, side by side, on a running platform.

The load runs inside the node's network namespace (wrk), so that the relay from the host is not measured: one user and
ten that ask again as soon as they are answered, which is all the machine can do, and ten that rest in between. Gateway
and direct rounds alternate: whatever else the machine does, it does to both.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.lifecycle import platform
from local.lifecycle.platform import Platform
from local.node import GATEWAY_SERVICE_ADDRESS
from ml import contracts

_LONGEST_REST_MS = 200
_USERS = {"1 without rest": (1, 0), "10 without rest": (10, 0), "10 with rests": (10, _LONGEST_REST_MS)}
"""How many connections, and how long each rests at most after an answer."""
_ROUNDS = 5
_ROUND_SECONDS = 4
_SCRIPT = Path(__file__).with_name("predict.lua")


@dataclass(frozen=True, kw_only=True)
class Load:
    """One round of load."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests: int
    seconds: float
    failed: int


def run(running: Platform) -> list[str]:
    """Return the lines of the report.

    Raises:
        FileNotFoundError: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk: install it with `apt-get install wrk`")
    outputs = running.stack.outputs()
    lines = ["| model | users | way | P50 ms | P95 ms | P99 ms | requests/s | failed |", "|---" * 8 + "|"]
    for model, (users, (connections, rest_ms)) in itertools.product(contracts.DEFAULT_MODELS, _USERS.items()):
        path = f"/v1/models/{model}:predict"
        ways = {
            "gateway": (f"http://{GATEWAY_SERVICE_ADDRESS}{path}", outputs["hosts"]["ml"]),
            "direct": (f"http://{_slot_address(running, outputs['namespace'], model)}{path}", "direct"),
        }
        rounds: dict[str, list[Load]] = {way: [] for way in ways}
        for _ in range(_ROUNDS):
            for way, (url, host) in ways.items():
                rounds[way].append(_load(running, url, host, connections, rest_ms))
        lines += [_row(f"{model} | {users}", way, loads) for way, loads in rounds.items()]
        added = _median(rounds["gateway"], "p50_ms") - _median(rounds["direct"], "p50_ms")
        lines.append(f"| {model} | {users} | gateway adds | {added:+.2f} | | | | |")
    return lines


def _slot_address(running: Platform, namespace: str, model: str) -> str:
    selector = f"{contracts.MODEL_LABEL}={contracts.kube_name(model)},{contracts.SLOT_LABEL}={contracts.STABLE_SLOT}"
    pod = subprocess.run(
        [
            "kubectl", "get", "pods", "-n", namespace, "-l", selector, "-o", "jsonpath={.items[0].status.podIP}",
        ],
        env=running.stack.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return f"{pod.stdout.strip()}:{contracts.SERVING_REST_PORT}"


def _load(running: Platform, url: str, host: str, connections: int, rest_ms: int) -> Load:
    done = platform.run_in_node(
        running,
        [
            "wrk", "--threads=1", f"--connections={connections}", f"--duration={_ROUND_SECONDS}s",
            "--timeout=10s", f"--script={_SCRIPT}", f"--header=Host: {host}", url, "--", str(rest_ms),
        ],
    )  # fmt: skip
    (result,) = [line.removeprefix("result ") for line in done.splitlines() if line.startswith("result ")]
    return Load(**json.loads(result))


def _row(what: str, way: str, loads: list[Load]) -> str:
    rate = statistics.median(load.requests / load.seconds for load in loads)
    failed = sum(load.failed for load in loads)
    figures = " | ".join(f"{_median(loads, name):.2f}" for name in ("p50_ms", "p95_ms", "p99_ms"))
    return f"| {what} | {way} | {figures} | {rate:.0f} | {failed} |"


def _median(loads: list[Load], name: str) -> float:
    return statistics.median(float(getattr(load, name)) for load in loads)
