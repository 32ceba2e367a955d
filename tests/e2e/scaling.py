"""A platform whose parts follow their load, and what is seen of that."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from local.lifecycle import platform
from local.lifecycle.instance import STACK
from local.progress import ConsoleProgress
from ml import contracts
from tests.e2e.application import Api
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.visitors import Question

LEAST: Final = 1
_READY_SECONDS: Final = 240
SHRUNK_SECONDS: Final = 600
_SERVED: Final = re.compile(r"^:tensorflow:serving:request_count\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A Deployment that follows its load, and a question that it has to answer."""

    workload: str
    most: int
    ask: Callable[[Cluster], Question]
    rest_seconds: float = 0.0
    """What each of a crowd has to rest between two requests, so that nobody is told to come back later."""


def _question(
    cluster: Cluster,
    host: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
) -> Question:
    url = f"http://{cluster.instance.gateway_address}{path}"
    return Question(
        method=method, url=url, headers={"Host": cluster.outputs["hosts"][host], **(headers or {})}, body=body
    )


def _prediction(cluster: Cluster) -> Question:
    path = f"/v1/models/{contracts.RESEARCH_PATTERN_PREDICTOR}:predict"
    body = json.dumps({"instances": [{"input": "test data"}]})
    return _question(cluster, "ml", "POST", path, {"Content-Type": "application/json"}, body)


def _experiments(cluster: Cluster) -> Question:
    return _question(cluster, "api", "GET", "/ml/ab-tests", {"Authorization": f"Bearer {Api(cluster).token}"})


def _registered_models(cluster: Cluster) -> Question:
    return _question(cluster, "mlflow", "GET", "/api/2.0/mlflow/registered-models/search?max_results=1")


SLOT: Final = Part(
    workload=contracts.slot_workload(contracts.RESEARCH_PATTERN_PREDICTOR, contracts.STABLE_SLOT),
    most=3,
    ask=_prediction,
)
API: Final = Part(workload=contracts.API_SERVICE, most=2, ask=_experiments, rest_seconds=0.25)
TRACKING_SERVER: Final = Part(workload=contracts.TRACKING_SERVER_SERVICE, most=2, ask=_registered_models)

Engine = Literal["keda", "hpa"]
_CALM: Final = {"minimum": LEAST, "calmMinutes": 1}
_SETTINGS: Final[Mapping[Engine, Mapping[str, Mapping[str, int]]]] = {
    # So low that a load which two cores can bear asks for more than the maximum.
    "keda": {
        "modelServer": {**_CALM, "maximum": SLOT.most, "concurrency": 1},
        # Well above what slots, controller and probes ask of them all the time.
        "api": {**_CALM, "maximum": API.most, "requestsPerSecond": 10},
        "trackingServer": {**_CALM, "maximum": TRACKING_SERVER.most, "requestsPerSecond": 10},
    },
    "hpa": {"modelServer": {**_CALM, "maximum": SLOT.most}},
}


@contextlib.contextmanager
def scaled(cluster: Cluster, engine: Engine = "keda") -> Generator[None]:
    """Let an autoscaler decide how many pods parts have; the stack is as before when the block is left.

    KEDA itself stays in the node until that is destroyed.
    """
    stack, file = cluster.platform.stack, cluster.instance.project_dir / f"Pulumi.{STACK}.yaml"
    before = file.read_text(encoding="utf-8")
    try:
        stack.set_config("autoscaling.engine", engine)
        if engine == "keda":
            # The node may have been started again since the cluster was met.
            platform.bring(platform.existing(cluster.instance, ConsoleProgress()), "keda", ConsoleProgress())
            stack.set_config("prerequisites.keda", "present")
        for part, settings in _SETTINGS[engine].items():
            stack.remove_config(f"{part}.replicas")
            for key, value in settings.items():
                stack.set_config(f"autoscaling.{part}.{key}", str(value))
        stack.up()
        _wait_for_rollouts(cluster)
        yield
    finally:
        try:
            _wait_for_rest(cluster)
        finally:
            file.write_text(before, encoding="utf-8")
            stack.up()
            _wait_for_rollouts(cluster)
            selector = f"{contracts.MODEL_LABEL},{contracts.SLOT_LABEL}={contracts.STABLE_SLOT}"
            eventually(
                lambda: (
                    len(cluster.kubectl("get", "pods", "-l", selector, "-o", "name").split())
                    == len(contracts.DEFAULT_MODELS)
                ),
                within_seconds=_READY_SECONDS,
                what="each stable slot has one pod, and those before have ended",
            )


def _wait_for_rest(cluster: Cluster) -> None:
    """Wait until each part has as few pods as it may.

    Pulumi deletes last: an autoscaler that wants more pods has its way once more in the update that takes it away.
    """
    for part in (SLOT, API, TRACKING_SERVER):
        eventually(lambda part=part: rests(cluster, part), within_seconds=SHRUNK_SECONDS, what=f"{part.workload} rests")


def _wait_for_rollouts(cluster: Cluster) -> None:
    """Wait until what is scaled, and every slot that holds a version, has only pods of the newest kind."""
    slots = [contracts.slot_workload(model, contracts.STABLE_SLOT) for model in contracts.DEFAULT_MODELS]
    for workload in (*slots, API.workload, TRACKING_SERVER.workload):
        cluster.kubectl("rollout", "status", f"deployment/{workload}", f"--timeout={_READY_SECONDS}s")


def pods(cluster: Cluster, part: Part) -> list[str]:
    """Return the pods of a part, those that are about to end among them."""
    return [pod["metadata"]["name"] for pod in _pods(cluster, part)]


def serving(cluster: Cluster, part: Part) -> list[str]:
    """Return the pods of a part that get requests."""
    return [
        pod["metadata"]["name"]
        for pod in _pods(cluster, part)
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


def _pods(cluster: Cluster, part: Part) -> list[dict[str, Any]]:
    labels = cluster.get("deployment", part.workload)["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return cast(
        "list[dict[str, Any]]", json.loads(cluster.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    )


def served(cluster: Cluster, pod: str) -> float:
    """Return how many predictions a pod has made, by its own count."""
    port, path = contracts.SERVING_REST_PORT, "monitoring/prometheus/metrics"
    page = cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}:{port}/proxy/{path}")
    return sum(float(count) for count in _SERVED.findall(page))


def wanted(cluster: Cluster, part: Part) -> int:
    """Return how many pods a part's Deployment is told to have."""
    return int(cluster.get("deployment", part.workload)["spec"]["replicas"])


def rests(cluster: Cluster, part: Part) -> bool:
    """Tell whether a part has as few pods as it may, and none of them is about to end."""
    return wanted(cluster, part) == len(pods(cluster, part)) == len(serving(cluster, part)) == LEAST


def sees_all_measures(cluster: Cluster, part: Part, engine: Engine = "keda") -> bool:
    """Tell whether the autoscaler has an answer about CPU, and with KEDA one from Prometheus, and acts by them."""
    name = f"keda-hpa-{part.workload}" if engine == "keda" else part.workload
    status = cast("dict[str, Any]", cluster.get("horizontalpodautoscaler", name).get("status", {}))
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    metrics = cast("list[dict[str, Any]]", status.get("currentMetrics") or [])
    measured = {metric["type"] for metric in metrics if metric["type"]}
    expected = {"ContainerResource", "External"} if engine == "keda" else {"ContainerResource"}
    return conditions.get("ScalingActive") == "True" and measured == expected
