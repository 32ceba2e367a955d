"""What the end-to-end tests do to a running platform, in their own words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from local import paths
from local.lifecycle.platform import Platform
from ml import contracts

_PREDICT_BODY = json.dumps({"instances": [{"input": "test data"}]})
_VERIFY_AGAIN_SECONDS = 2.0


@dataclass
class Answers:
    """What a number of requests got."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    slots: Counter[str] = field(default_factory=Counter[str])
    slot_of_user: dict[str, str] = field(default_factory=dict[str, str])
    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Per slot: how long each answer took."""
    errors: list[str] = field(default_factory=list[str])

    @property
    def failed(self) -> int:
        """Requests without a 200."""
        return len(self.errors) + sum(count for status, count in self.statuses.items() if status != 200)


class Cluster:
    """A running platform seen from a test."""

    def __init__(self, running: Platform) -> None:
        self.platform = running
        self.instance = running.instance
        self.outputs = running.stack.outputs()
        self.namespace: str = self.outputs["namespace"]

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which `kubectl`, `pulumi` and `mlp` act on this platform."""
        return {**os.environ, **self.platform.stack.environment}

    def kubectl(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> str:
        """Run kubectl and return what it prints; a failure is a test failure."""
        done = subprocess.run(
            ["kubectl", "--namespace", namespace or self.namespace, *arguments],
            env=self.environment, input=stdin, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> dict[str, Any]:
        """Return one object."""
        return cast("dict[str, Any]", json.loads(self.kubectl("get", kind, name, "-o", "json", namespace=namespace)))

    def inventory(self) -> dict[str, str]:
        """Return every object of the platform's namespace, and the mesh objects beside the gateway, by version."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        wanted = ",".join(kind for kind in kinds if not kind.startswith(("events", "leases", "endpoint", "pods")))
        listed = json.loads(self.kubectl("get", wanted, "-o", "json", "--ignore-not-found") or '{"items": []}')
        found: dict[str, str] = {}
        for item in listed["items"]:
            metadata = item["metadata"]
            # Objects without a generation change by being replaced, which their uid shows.
            found[f"{item['kind']}/{metadata['name']}"] = str(metadata.get("generation", metadata["uid"]))
        return found

    def mlp(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `mlp` command on this platform."""
        return subprocess.run(
            [sys.executable, "-m", "ml.cli", *arguments],
            env=self.environment, cwd=paths.repo_root(), text=True, capture_output=True, check=False,
        )  # fmt: skip

    def verifies(self, *, within_seconds: float, what: str = "`mlp verify`") -> None:
        """Wait until `mlp verify` finds that every component does its work; a failure shows what it said last."""
        deadline = time.monotonic() + within_seconds
        while (done := self.mlp("verify")).returncode:
            assert time.monotonic() < deadline, f"{what}: not within {within_seconds} s:\n{done.stdout}{done.stderr}"
            time.sleep(_VERIFY_AGAIN_SECONDS)

    def predict(self, model: str, body: str = _PREDICT_BODY) -> tuple[int, dict[str, Any]]:
        """Send one prediction through the gateway; return status and body."""
        command = [
            "curl", "--silent", "--max-time", "10", "--write-out", "\n%{http_code}",
            "--header", f"Host: {self.outputs['hosts']['ml']}", "--data", body,
            f"http://{self.instance.gateway_address}/v1/models/{model}:predict",
        ]  # fmt: skip
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        try:
            return int(status), cast("dict[str, Any]", json.loads(text or "{}"))
        except json.JSONDecodeError:
            return int(status), {"text": text}

    def weights(self, model: str) -> dict[str, int]:
        """Return the split's weights by slot."""
        split = self.get("virtualservices.networking.istio.io", contracts.split_route_name(model))
        return {route["destination"]["subset"]: route["weight"] for route in split["spec"]["http"][0]["route"]}

    def set_weights(self, model: str, weights: dict[str, int]) -> None:
        """Write the split's weights, as the controller of an experiment would."""
        name = contracts.split_route_name(model)
        routes = self.get("virtualservices.networking.istio.io", name)["spec"]["http"][0]["route"]
        patch = [
            {"op": "replace", "path": f"/spec/http/0/route/{index}/weight", "value": weights[subset]}
            for index, subset in enumerate(route["destination"]["subset"] for route in routes)
        ]
        self.kubectl("patch", "virtualservices.networking.istio.io", name, "--type=json", "-p", json.dumps(patch))

    def shift(self, model: str, weights: dict[str, int]) -> None:
        """Write the split's weights and wait until the gateway has them."""
        self.set_weights(model, weights)
        # The mesh leaves destinations without weight out of what it sends to the gateway.
        expected = {slot: weight for slot, weight in weights.items() if weight}
        eventually(
            lambda: self.gateway_weights(model) == expected,
            within_seconds=30,
            what=f"the gateway has {weights}",
        )

    def gateway_weights(self, model: str) -> dict[str, int]:
        """Return the weights in the configuration that the gateway's Envoy really has."""
        found: dict[str, int] = {}
        for slot, weight in self.gateway_destinations(model):
            found[slot] = found.get(slot, 0) + weight
        return found

    def gateway_destinations(self, model: str) -> list[tuple[str, int]]:
        """Return slots and weights in the order in which the gateway's Envoy goes through them."""
        pod = self.kubectl(
            "get", "pods", "-l", "istio=ingressgateway", "-o", "name", "--field-selector=status.phase=Running",
            namespace="istio-system",
        ).split()[0]  # fmt: skip
        dump = self.kubectl(
            "get", "--raw",
            f"/api/v1/namespaces/istio-system/pods/{pod.removeprefix('pod/')}:15090/proxy/config_dump?resource=dynamic_route_configs",
        )  # fmt: skip
        return _destinations(json.loads(dump), contracts.kube_name(model))

    def mlflow(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call MLflow's REST API through the gateway."""
        command = [
            "curl", "--silent", "--show-error", "--max-time", "20", "--request", method,
            "--header", f"Host: {self.outputs['hosts']['mlflow']}", "--header", "Content-Type: application/json",
            *(["--data", json.dumps(body)] if body is not None else []),
            f"http://{self.instance.gateway_address}/api/2.0/mlflow/{path}",
        ]  # fmt: skip
        done = subprocess.run(command, text=True, capture_output=True, check=True)
        answer = cast("dict[str, Any]", json.loads(done.stdout))
        assert "error_code" not in answer, answer
        return answer

    def alias_version(self, model: str, alias: str) -> str:
        """Return the version that an alias of a registered model points at."""
        return str(
            self.mlflow("GET", f"registered-models/alias?name={model}&alias={alias}")["model_version"]["version"]
        )

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias of a registered model at a version."""
        self.mlflow("POST", "registered-models/alias", {"name": model, "alias": alias, "version": version})

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias of a registered model."""
        self.mlflow("DELETE", "registered-models/alias", {"name": model, "alias": alias})

    def serves(self, model: str, slot: str, version: str) -> bool:
        """Tell whether every pod of a slot that is to stay is ready, wants and serves exactly this version."""
        labels = f"{contracts.MODEL_LABEL}={contracts.kube_name(model)},{contracts.SLOT_LABEL}={slot}"
        pods = json.loads(self.kubectl("get", "pods", "-l", labels, "-o", "json"))["items"]
        proxy = f"/api/v1/namespaces/{self.namespace}/pods"
        # One that is about to end gets no requests any more; its version sync is gone before its server is.
        running = [
            pod
            for pod in pods
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        # What the version sync says comes a moment before the pod is told to be ready, and with that before traffic.
        if not all(_is_ready(pod) for pod in running):
            return False
        names = [pod["metadata"]["name"] for pod in running]
        paths_of_status = [f"{proxy}/{name}:{contracts.SYNC_PORT}/proxy/status" for name in names]
        statuses = [json.loads(self.kubectl("get", "--raw", path)) for path in paths_of_status]
        return bool(statuses) and all(
            status["ready"] and str(status["serving_version"]) == version == str(status["wanted_version"])
            for status in statuses
        )

    def deploy(self, model: str, slot: str, version: str) -> None:
        """Let a slot serve a version.

        The state of the slot's Deployment would not do to wait for: an update of an empty slot counts as failed until
        the slot has a version.
        """
        self.set_alias(model, contracts.slot_alias(slot), version)
        eventually(lambda: self.serves(model, slot, version), within_seconds=120, what=f"{slot} serves {version}")

    def register_broken_version(self, model: str) -> str:
        """Register a version whose SavedModel is not one; return its number."""
        return self.register_version(model, {"saved_model.pb": b"this is no SavedModel"})

    def register_version(self, model: str, files: Mapping[str, bytes]) -> str:
        """Register a version with these files as its SavedModel; return its number."""
        run = self.mlflow("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]
        root = str(run["artifact_uri"]).removeprefix("mlflow-artifacts:/")
        for name, content in files.items():
            file = f"{root}/{contracts.SAVED_MODEL_ARTIFACT}/{name}"
            upload = [
                "curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--request", "PUT",
                "--header", f"Host: {self.outputs['hosts']['mlflow']}", "--data-binary", "@-",
                f"http://{self.instance.gateway_address}/api/2.0/mlflow-artifacts/artifacts/{file}",
            ]  # fmt: skip
            subprocess.run(upload, check=True, capture_output=True, input=content)
        version = {"name": model, "source": run["artifact_uri"], "run_id": run["run_id"]}
        return str(self.mlflow("POST", "model-versions/create", version)["model_version"]["version"])

    def send(self, model: str, users: Iterable[str | None], *, concurrency: int = 20) -> Answers:
        """Send one request per user (None = without an id) through the gateway; bounded by the iterable."""
        return asyncio.run(self._send(model, list(users), concurrency))

    async def _send(self, model: str, users: list[str | None], concurrency: int) -> Answers:
        answers = Answers()
        queue = iter(users)
        url = f"http://{self.instance.gateway_address}/v1/models/{model}:predict"
        base = {"Host": self.outputs["hosts"]["ml"], "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def work() -> None:
                for user in queue:
                    headers = base if user is None else {**base, contracts.USER_ID_HEADER: user}
                    began = time.monotonic()
                    try:
                        async with session.post(url, data=_PREDICT_BODY, headers=headers) as response:
                            await response.read()
                            slot = response.headers.get(contracts.SLOT_HEADER, "")
                            answers.statuses[response.status] += 1
                            answers.slots[slot] += 1
                            answers.seconds.setdefault(slot, []).append(time.monotonic() - began)
                            if user is not None:
                                answers.slot_of_user[user] = slot
                    except (aiohttp.ClientError, TimeoutError) as error:
                        answers.errors.append(repr(error))

            await asyncio.gather(*(work() for _ in range(concurrency)))
        return answers


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _destinations(dump: Any, service: str) -> list[tuple[str, int]]:
    """Return subsets and weights of the one weighted route to `service` in an Envoy configuration dump."""
    found: list[list[tuple[str, int]]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            table = cast("dict[str, Any]", node)
            clusters = table.get("weighted_clusters", {}).get("clusters", [])
            names = [str(entry["name"]).split("|") for entry in clusters]
            if names and all(len(name) == 4 and name[3].startswith(f"{service}.") for name in names):
                found.append(
                    [(name[2], int(entry.get("weight", 0))) for name, entry in zip(names, clusters, strict=True)]
                )
            for value in table.values():
                walk(value)
        elif isinstance(node, list):
            for value in cast("list[Any]", node):
                walk(value)

    walk(dump)
    return found[0] if found and all(entry == found[0] for entry in found) else []


def eventually(
    condition: Callable[[], object], *, within_seconds: float, what: str, every_seconds: float = 0.5
) -> None:
    """Wait until `condition` returns something true.

    Raises:
        AssertionError: it did not within the time; the message names `what` and the last answer.
    """
    deadline = time.monotonic() + within_seconds
    last: object = None
    while time.monotonic() < deadline:
        last = condition()
        if last:
            return
        time.sleep(every_seconds)
    raise AssertionError(f"{what}: not within {within_seconds} s, last answer {last!r}")
