"""The whole controller with a real Kubernetes API, PostgreSQL and MLflow; the gateway is one that follows the split."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml.cli.outputs import parse_outputs
from ml.cli.train.job import training_job
from ml.contracts import GATEWAY_ADMIN_PORT, GATEWAY_NAMESPACE, SYNC_PORT, experiment_salt, gateway_route_name
from ml.controller import pipeline_runs
from ml.controller.splits import route_of
from ml.events.pool import DatabaseSettings, open_pool
from ml.events.ports import Stored, VersionConflictError
from ml.events.projector import Projector
from ml.events.schema import migrate
from ml.events.store import PostgresEventStore
from ml.events.types import CommandIssued, experiment_stream
from ml.serving.sync_status import SlotStatus
from tests.ml.controller.cluster import KIND, NAMESPACE, TEST_KIND, Cluster, eventually
from tests.ml.controller.conftest import Controller, running_controller
from tests.ml.controller.shell.answers import Answers, serving
from tests.support.ports import own_address
from tests.support.postgres import shared_postgres
from tests.support.tracking_server import shared_tracking_server
from tests.unit.cli.platform import OUTPUTS

pytestmark = pytest.mark.slow
_ATTEMPTS = 10
MODEL, REGISTRY_MODEL = "content-quality-model", "content_quality_model"
GATEWAY, STABLE, CANDIDATE = own_address(1), own_address(2), own_address(3)
SPEC = {
    "model": REGISTRY_MODEL,
    "primary": {"name": "clicked", "minimumEffect": 0.1, "baseline": 0.3},
    "ramp": {"durationSeconds": 60, "steps": 60},
    "durationSeconds": 3600,
    "expectedUnitsPerDay": 1_000_000,
    "reconcileIntervalSeconds": 1,
}


@pytest.fixture
def clean(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster
    for kind in (TEST_KIND, KIND):
        cluster.kubectl("delete", kind, "--all", "--wait=true")
    cluster.kubectl("delete", "pods", "--all", "--force")
    cluster.kubectl("delete", "pods", "--all", "--force", namespace=GATEWAY_NAMESPACE)
    cluster.kubectl("delete", "leases", "--all")
    cluster.kubectl("delete", "jobs", "--all", "--cascade=background")


@pytest.fixture
def database() -> DatabaseSettings:
    return shared_postgres().new_database()


def environment(database: DatabaseSettings) -> dict[str, str]:
    return {
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.database,
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "REGISTRY_URL": shared_tracking_server().url,
    }


@contextmanager
def platform(cluster: Cluster) -> Generator[None]:
    """Two slots that serve, and a gateway that does what the split says."""
    cluster.put_root(MODEL, "stable,candidate-a")
    cluster.put_pod("gateway-0", {"istio": "ingressgateway"}, GATEWAY, namespace=GATEWAY_NAMESPACE)
    stop = threading.Event()
    with (
        serving(GATEWAY, GATEWAY_ADMIN_PORT) as gateway,
        serving(STABLE, SYNC_PORT) as stable,
        serving(CANDIDATE, SYNC_PORT) as candidate,
    ):
        for answers, alias in ((stable, "champion"), (candidate, "candidate-a")):
            version = register(alias)
            status = SlotStatus(
                model=REGISTRY_MODEL, alias=alias, phase="serving", ready=True, wanted_version=version,
                serving_version=version,
            )  # fmt: skip
            answers.by_path["/status"] = (200, json.dumps(dataclasses.asdict(status)))
        cluster.put_slot_pod(MODEL, "stable", STABLE)
        cluster.put_slot_pod(MODEL, "candidate-a", CANDIDATE)
        thread = threading.Thread(target=_follow, args=(cluster, gateway, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def registry() -> httpx.Client:
    return httpx.Client(base_url=f"{shared_tracking_server().url}/api/2.0/mlflow", timeout=30, trust_env=False)


def register(alias: str) -> int:
    """Register a version with an alias; return its number."""
    with registry() as client:
        client.post("/registered-models/create", json={"name": REGISTRY_MODEL})  # once is enough
        made = client.post("/model-versions/create", json={"name": REGISTRY_MODEL, "source": "s3://x/y"})
        version = str(made.raise_for_status().json()["model_version"]["version"])
        body = {"name": REGISTRY_MODEL, "alias": alias, "version": version}
        client.post("/registered-models/alias", json=body).raise_for_status()
    return int(version)


def aliases() -> set[str]:
    with registry() as client:
        found = client.get("/registered-models/get", params={"name": REGISTRY_MODEL}).raise_for_status().json()
    return {entry["alias"] for entry in found["registered_model"].get("aliases", [])}


def _follow(cluster: Cluster, gateway: Answers, stop: threading.Event) -> None:
    while not stop.wait(0.2):
        split = cluster.find(f"{MODEL}-split")
        route = None if split is None else route_of(split)
        if route is None:
            continue
        host = f"{MODEL}.research.svc.cluster.local"
        substitution = f"{experiment_salt(REGISTRY_MODEL, route.salt_index)}:\\1"
        action = {
            "weighted_clusters": {
                "clusters": [
                    {"name": f"outbound|8501|{slot}|{host}", "weight": weight}
                    for slot, weight in route.weights.items()
                    if weight
                ],
                "use_hash_policy": True,
            },
            "hash_policy": [{"header": {"regex_rewrite": {"substitution": substitution}}}],
        }
        name = gateway_route_name(REGISTRY_MODEL, route.salt_index)
        hosts = [{"routes": [{"name": name, "route": action}]}]
        dump = {"configs": [{"route_config": {"virtual_hosts": hosts}}]}
        gateway.by_path["/config_dump"] = (200, json.dumps(dump))


def put_test(cluster: Cluster, name: str, **spec: Any) -> str:
    body = {
        "apiVersion": "mlplatform.dev/v1alpha1", "kind": "ABTest", "metadata": {"name": name}, "spec": {**SPEC, **spec},
    }  # fmt: skip
    made = json.loads(cluster.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(body)))
    return str(made["metadata"]["uid"])


def phase(cluster: Cluster, name: str) -> str:
    return str(cluster.get_test(name).get("status", {}).get("phase"))


def stream(database: DatabaseSettings, uid: str) -> Sequence[Stored]:
    async def inside() -> Sequence[Stored]:
        async with open_pool(database) as pool:
            return await PostgresEventStore(pool).read(experiment_stream(uid))

    return asyncio.run(inside())


def issue(database: DatabaseSettings, uid: str, action: Any) -> None:
    """Append a command as the API does, which tries again when the controller was faster."""

    async def inside() -> None:
        async with open_pool(database) as pool:
            store = PostgresEventStore(pool)
            command = CommandIssued(at=time.time(), command="c-1", action=action, by="ann", why="test", source="api")
            for _ in range(_ATTEMPTS):
                length = len(await store.read(experiment_stream(uid)))
                with suppress(VersionConflictError):
                    await store.append(experiment_stream(uid), length, [command])
                    return
        raise AssertionError(f"the controller was faster {_ATTEMPTS} times")

    asyncio.run(inside())


def metric(controller: Controller, name: str) -> float:
    text = httpx.get(controller.metrics_url, trust_env=False).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_experiment_ramps_is_repaired_and_stops_when_told_to(
    clean: Cluster, database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with platform(clean), running_controller(clean, tmp_path, monkeypatch, **environment(database)) as controller:
        refused = put_test(clean, "refused", model="unknown_model")
        eventually(lambda: phase(clean, "refused") == "Invalid", "the unknown model is refused")
        assert [item.event.type for item in stream(database, refused)][:1] == ["ExperimentRefused"]
        uid = put_test(clean, "ramps")
        eventually(lambda: phase(clean, "ramps") == "Ramping", "the experiment begins")
        begun = "the gateway was seen to have the first weights"
        eventually(lambda: "EpochStarted" in [item.event.type for item in stream(database, uid)], begun)
        assert 0 < clean.weights(MODEL)["candidate-a"] <= 500
        split = clean.find(f"{MODEL}-split")
        assert split is not None
        assert split["spec"]["http"][0]["name"] == "split-01", "every experiment is salted anew"
        clean.set_weights(MODEL, 100, 900)
        eventually(lambda: clean.weights(MODEL)["stable"] > 400, "drifted weights are repaired", 5)
        started = time.monotonic()
        issue(database, uid, "stop")
        everything = {"stable": 1000, "candidate-a": 0}
        eventually(lambda: clean.weights(MODEL) == everything, "a command through the API is heard at once", 10)
        took = time.monotonic() - started
        eventually(lambda: phase(clean, "ramps") == "Cancelled", "the experiment has ended")
        assert aliases() == {"champion"}, "the candidate is released, the champion stays"
        assert metric(controller, "mlplatform_controller_leader") == 1
        assert metric(controller, "mlplatform_controller_last_success_timestamp_seconds") > time.time() - 60
        assert metric(controller, 'mlplatform_controller_experiments{phase="Cancelled"}') == 1
        print(f"stop to weights written: {took:.2f} s")
    types = [item.event.type for item in stream(database, uid)]
    assert types[0] == "ExperimentCreated"
    assert "CommandHandled" in types


def test_pipeline_run_is_counted_when_its_job_has_failed(
    clean: Cluster, database: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_runs, "LOOK_SECONDS", 0.5)
    outputs = dataclasses.replace(parse_outputs(OUTPUTS), namespace=NAMESPACE)
    manifest = training_job(outputs, "train-models-1", force=False)
    # There is no node: its pod never runs, and Kubernetes ends it at its deadline.
    manifest["spec"]["activeDeadlineSeconds"] = 1
    clean.kubectl("create", "--filename=-", stdin=json.dumps(manifest))
    failed = 'mlplatform_pipeline_runs_total{pipeline="train-models",result="failed"}'
    with running_controller(clean, tmp_path, monkeypatch, **environment(database)) as controller, projecting(database):
        eventually(lambda: metric(controller, failed) == 1, "the failed run is counted", 40)
        assert metric(controller, "mlplatform_pipeline_runs_total") == 1


@contextmanager
def projecting(database: DatabaseSettings) -> Generator[None]:
    """The read models are kept up, as the API does it."""
    stop = threading.Event()

    async def inside() -> None:
        async with open_pool(database) as pool:
            await migrate(pool)
            while not stop.is_set():
                await Projector(pool).catch_up()
                await asyncio.sleep(0.2)

    thread = threading.Thread(target=lambda: asyncio.run(inside()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_experiment_goes_on_when_the_database_was_away(
    clean: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: DatabaseSettings
) -> None:
    async def prepare() -> None:
        async with open_pool(database) as pool:
            await migrate(pool)

    server = shared_postgres()
    asyncio.run(prepare())
    server.stop()
    try:
        with platform(clean), running_controller(clean, tmp_path, monkeypatch, **environment(database)) as controller:
            eventually(lambda: clean.weights(MODEL) != {}, "splits are kept without a database")
            put_test(clean, "later")
            time.sleep(2)
            assert phase(clean, "later") == "None"
            eventually(lambda: metric(controller, "mlplatform_controller_errors_total") > 0, "the failure is counted")
            server.start()
            eventually(lambda: phase(clean, "later") == "Ramping", "the experiment begins", 60)
    finally:
        if not _is_up(database):
            server.start()


def _is_up(database: DatabaseSettings) -> bool:
    try:
        stream(database, "none")
    except Exception:  # noqa: BLE001 whatever it is, the server has to be started for the other tests
        return False
    return True
