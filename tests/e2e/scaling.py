"""A platform whose model servers follow their load, people who make more and less of it, and what is seen of both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, cast

import aiohttp

from local.lifecycle import platform
from local.lifecycle.instance import STACK
from local.progress import ConsoleProgress
from ml import contracts
from tests.e2e.cluster import Cluster, eventually

MODEL: Final = contracts.RESEARCH_PATTERN_PREDICTOR
WORKLOAD: Final = contracts.slot_workload(MODEL, contracts.STABLE_SLOT)
LEAST, MOST = 1, 3
_SETTINGS: Final = {"minimum": LEAST, "maximum": MOST, "concurrency": 1, "calmMinutes": 1}
"""So low that a load which two cores can bear asks for more than the maximum."""
_BODY: Final = json.dumps({"instances": [{"input": "test data"}]})
_MOST_VISITORS: Final = 12
_ENDS_BY_ITSELF_SECONDS: Final = 1_800.0
_REQUEST_SECONDS: Final = 60.0
_READY_SECONDS: Final = 240
_SERVED: Final = re.compile(r"^:tensorflow:serving:request_count\{[^}]*\} (\S+)$", re.MULTILINE)


@contextlib.contextmanager
def scaled(cluster: Cluster) -> Generator[None]:
    """Let KEDA decide how many pods every slot has; the stack is as before when the block is left.

    KEDA itself stays in the node until that is destroyed.
    """
    stack, file = cluster.platform.stack, cluster.instance.project_dir / f"Pulumi.{STACK}.yaml"
    before = file.read_text(encoding="utf-8")
    # The node may have been started again since the cluster was met.
    platform.bring(platform.existing(cluster.instance, ConsoleProgress()), "keda", ConsoleProgress())
    try:
        stack.remove_config("modelServer.replicas")
        stack.set_config("prerequisites.keda", "present")
        for key, value in _SETTINGS.items():
            stack.set_config(f"autoscaling.modelServer.{key}", str(value))
        stack.up()
        _wait_for_stable(cluster)
        yield
    finally:
        file.write_text(before, encoding="utf-8")
        stack.up()
        _wait_for_stable(cluster)
        selector = f"{contracts.MODEL_LABEL},{contracts.SLOT_LABEL}={contracts.STABLE_SLOT}"
        eventually(
            lambda: (
                len(cluster.kubectl("get", "pods", "-l", selector, "-o", "name").split())
                == len(contracts.DEFAULT_MODELS)
            ),
            within_seconds=_READY_SECONDS,
            what="each stable slot has one pod, and those before have ended",
        )


def _wait_for_stable(cluster: Cluster) -> None:
    """Wait until the slots that hold a version have only pods of the newest kind."""
    for model in contracts.DEFAULT_MODELS:
        workload = f"deployment/{contracts.slot_workload(model, contracts.STABLE_SLOT)}"
        cluster.kubectl("rollout", "status", workload, f"--timeout={_READY_SECONDS}s")


def pods(cluster: Cluster) -> list[str]:
    """Return the pods of the slot, those that are about to end among them."""
    return [pod["metadata"]["name"] for pod in _pods(cluster)]


def serving(cluster: Cluster) -> list[str]:
    """Return the pods of the slot that get requests."""
    return [
        pod["metadata"]["name"]
        for pod in _pods(cluster)
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


def _pods(cluster: Cluster) -> list[dict[str, Any]]:
    selector = f"{contracts.MODEL_LABEL}={contracts.kube_name(MODEL)},{contracts.SLOT_LABEL}={contracts.STABLE_SLOT}"
    return cast(
        "list[dict[str, Any]]", json.loads(cluster.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    )


def served(cluster: Cluster, pod: str) -> float:
    """Return how many predictions a pod has made, by its own count."""
    port, path = contracts.SERVING_REST_PORT, "monitoring/prometheus/metrics"
    page = cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}:{port}/proxy/{path}")
    return sum(float(count) for count in _SERVED.findall(page))


def wanted(cluster: Cluster) -> int:
    """Return how many pods the slot's Deployment is told to have."""
    return int(cluster.get("deployment", WORKLOAD)["spec"]["replicas"])


def autoscaler(cluster: Cluster) -> dict[str, Any]:
    """Return the status of the autoscaler that KEDA has made for the slot."""
    return cast("dict[str, Any]", cluster.get("horizontalpodautoscaler", f"keda-hpa-{WORKLOAD}").get("status", {}))


def rests(cluster: Cluster) -> bool:
    """Tell whether the slot has as few pods as it may, and none of them is about to end."""
    return wanted(cluster) == len(pods(cluster)) == len(serving(cluster)) == LEAST


def sees_both_measures(cluster: Cluster) -> bool:
    """Tell whether the autoscaler has an answer about CPU and one from Prometheus, and acts by them."""
    status = autoscaler(cluster)
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    metrics = cast("list[dict[str, Any]]", status.get("currentMetrics") or [])
    measured = {metric["type"] for metric in metrics if metric["type"]}
    return conditions.get("ScalingActive") == "True" and measured == {"ContainerResource", "External"}


@dataclass
class Visit:
    """One request and its answer."""

    began: float
    seconds: float
    status: int
    """0 if there was none."""
    error: str = ""


@dataclass
class Visitors:
    """People who ask again and again, until the block is left or the time is over; how many may change meanwhile."""

    cluster: Cluster
    visits: list[Visit] = field(default_factory=list[Visit])
    _count: int = 0
    _rest_seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="visitors", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _REQUEST_SECONDS)

    def are(self, count: int, *, rest_seconds: float = 0.0) -> float:
        """Let so many ask from now on, each with a rest after an answer; return the time."""
        assert count <= _MOST_VISITORS
        self._count, self._rest_seconds = count, rest_seconds
        return time.monotonic()

    @property
    def failed(self) -> list[Visit]:
        """Those that did not get what they wanted."""
        return [visit for visit in self.visits if visit.status != 200]

    async def _run(self) -> None:
        ends = time.monotonic() + _ENDS_BY_ITSELF_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as session:

            async def visit(number: int) -> None:
                while not self._stop.is_set() and time.monotonic() < ends:
                    if number < self._count:
                        self.visits.append(await self._ask(session))
                        await asyncio.sleep(self._rest_seconds)
                    else:
                        await asyncio.sleep(0.1)

            await asyncio.gather(*(visit(number) for number in range(_MOST_VISITORS)))

    async def _ask(self, session: aiohttp.ClientSession) -> Visit:
        url = f"http://{self.cluster.instance.gateway_address}/v1/models/{MODEL}:predict"
        headers = {"Host": self.cluster.outputs["hosts"]["ml"], "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            async with session.post(url, data=_BODY, headers=headers) as response:
                text = await response.text()
                error = "" if response.status == 200 else text[:200]
                return Visit(began, time.monotonic() - began, response.status, error)
        except (aiohttp.ClientError, TimeoutError) as problem:
            return Visit(began, time.monotonic() - began, 0, repr(problem))
