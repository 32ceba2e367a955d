"""The real API for tests: uvicorn on loopback, a real PostgreSQL, a small stand-in for the Kubernetes API server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import psycopg
import uvicorn

from ml.api.__main__ import running
from ml.api.context import Context
from ml.api.settings import OidcSettings, Rates, Settings
from ml.contracts import STABLE_SLOT
from ml.controller.admission import AdmissionFacts, Admitted, admit
from ml.events.decisions import Chain, record
from ml.events.pool import DatabaseSettings
from ml.events.types import AnyEvent, CommandIssued, EpochStarted, ExperimentCreated, PhaseEntered, experiment_stream
from ml.experiments.decision import decide
from ml.experiments.document import to_document
from ml.experiments.history import EpochRecord, History
from ml.experiments.ratio import RatioSums
from tests.support.postgres import shared_postgres

_T = TypeVar("_T")
MODEL: Final = "research_pattern_predictor"
BUSY_MODEL: Final = "busy_model"
QUIET_MODEL: Final = "quiet_model"
NAMESPACE: Final = "platform"
TOKENS: Final = {scope: f"{scope}-" + "t0ken" * 8 for scope in ("read", "write", "decide")}
SPEC: Final[dict[str, Any]] = {
    "model": MODEL,
    "primary": {"name": "conversion", "aggregation": "any", "minimumEffect": 0.02, "baseline": 0.1},
    "expectedUnitsPerDay": 20_000,
}
_START_SECONDS: Final = 30
_PLENTY: Final = Rates(reads_per_second=100_000, writes_per_second=100_000, outcomes_per_second=1_000_000)


class KubernetesStandIn:
    """Answers what the API asks of an API server: create and get ABTests, list VirtualServices."""

    def __init__(self) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self.down = False
        self.refusal: dict[str, Any] | None = None
        models: tuple[str, ...] = (MODEL, BUSY_MODEL, QUIET_MODEL)
        self.slots: dict[str, str] = dict.fromkeys(models, f"{STABLE_SLOT},candidate-a")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("the API server is away")
        if "/virtualservices" in request.url.path:
            return httpx.Response(200, json={"items": [self._root(model) for model in self.slots]})
        name = request.url.path.rpartition("/abtests")[2].strip("/")
        if request.method == "GET":
            found = self.tests.get(name)
            return httpx.Response(200, json=found) if found else httpx.Response(404, json={"kind": "Status"})
        if self.refusal is not None:
            return httpx.Response(422, json=self.refusal)
        manifest = json.loads(request.content)
        name = manifest["metadata"]["name"]
        if name in self.tests:
            return httpx.Response(409, json={"kind": "Status", "reason": "AlreadyExists"})
        manifest["metadata"]["uid"] = f"uid-{name}"
        self.tests[name] = manifest
        return httpx.Response(201, json=manifest)

    def _root(self, model: str) -> dict[str, Any]:
        return {
            "metadata": {
                "name": f"{model}-root",
                "labels": {"mlplatform.dev/model": model.replace("_", "-"), "mlplatform.dev/traffic": "root"},
                "annotations": {"mlplatform.dev/slots": self.slots[model]},
            },
            "spec": {"http": [{"match": [{"uri": {"exact": f"/v1/models/{model}"}}]}]},
        }


class Service:
    """One running API."""

    def __init__(self, *, rates: Rates = _PLENTY, oidc: OidcSettings | None = None, graphiql: bool = False) -> None:
        self.database: DatabaseSettings = shared_postgres().new_database()
        self.kubernetes = KubernetesStandIn()
        self._tokens = tempfile.TemporaryDirectory()
        for name, token in TOKENS.items():
            (Path(self._tokens.name) / name).write_text(token, encoding="ascii")
        self.settings = Settings(
            namespace=NAMESPACE,
            tokens_dir=Path(self._tokens.name),
            rates=rates,
            oidc=oidc,
            graphiql=graphiql,
            prometheus_url="http://127.0.0.1:9",  # nobody listens there
        )
        self._ready = threading.Event()
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the API did not start"
        self.url = f"http://127.0.0.1:{self.port}"
        self._wait_until_ready()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        cluster = httpx.AsyncClient(transport=httpx.MockTransport(self.kubernetes), base_url="http://kubernetes")
        async with cluster, running(self.settings, self.database, cluster) as app:
            self.context: Context = app.state.context
            self.app = app
            listener = socket.create_server(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
            self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,method-assign]
            self._ready.set()
            await self._server.serve(sockets=[listener])

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            assert time.monotonic() < deadline, "the API did not become ready"
            time.sleep(0.05)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
        self._tokens.cleanup()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something in the API's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def client(self, scope: str | None = "read", **headers: str) -> httpx.Client:
        token = {"authorization": f"Bearer {TOKENS[scope]}"} if scope else {}
        return httpx.Client(base_url=self.url, headers={**token, **headers}, timeout=30)

    def seed(self, name: str = "", phase: Any = "Running", looks: int = 2, **spec: Any) -> str:
        """Append the events of an experiment, with real admission and decisions; wait until it can be read."""
        number = next(self._numbers)
        name = name or f"test-{number}"
        uid = f"uid-{name}"
        events = experiment_events(uid, name, phase, looks, {**SPEC, **spec}, created_at=1000.0 + number / 1000)
        self.call(self.context.ports.events.append(experiment_stream(uid), 0, events))
        self.wait_for(uid, len(events))
        return name

    def wait_for(self, uid: str, position: int) -> None:
        deadline = time.monotonic() + 10
        while True:
            found = self.call(self.context.ports.queries.experiment(uid))
            if found is not None and found.position >= position:
                return
            assert time.monotonic() < deadline, f"{uid} is not projected"
            time.sleep(0.02)

    def commands(self, name: str) -> list[CommandIssued]:
        stored = self.call(self.context.ports.events.read(experiment_stream(f"uid-{name}")))
        return [item.event for item in stored if isinstance(item.event, CommandIssued)]

    def written(self) -> dict[str, int]:
        """Return how many rows every table holds that a client's request may write."""
        tables = ("events", "outcomes", "api_audit")
        with psycopg.connect(
            host=self.database.host,
            port=self.database.port,
            dbname=self.database.database,
            user=self.database.user,
            password=self.database.password,
        ) as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]  # noqa: S608
                for table in tables
            }
        return {**{table: row[0] if row else 0 for table, row in counts.items()}, "tests": len(self.kubernetes.tests)}


def experiment_events(
    uid: str, name: str, phase: Any, looks: int, spec: dict[str, Any], *, created_at: float = 1000.0
) -> Sequence[AnyEvent]:
    """Return the stream of an experiment: admission, an epoch, decisions and its phase."""
    admission = admit(spec, AdmissionFacts(slots={MODEL: (STABLE_SLOT, "candidate-a")}))
    assert isinstance(admission, Admitted), admission
    weights = {STABLE_SLOT: 500, "candidate-a": 500}
    events: list[AnyEvent] = [
        ExperimentCreated(
            at=created_at,
            experiment=uid,
            name=name,
            namespace=NAMESPACE,
            model=MODEL,
            spec=admission.spec.model_dump(mode="json", by_alias=True),
            specification=to_document(admission.specification),
            plan=to_document(admission.plan),
            salt_index=3,
            by="ann",
        ),
        PhaseEntered(at=1000.0, phase="Ramping", reason="admitted"),
        EpochStarted(at=1001.0, index=0, weights=weights),
    ]
    chain = Chain()
    for look in range(1, looks + 1):
        units = 400 * look
        at = 5000.0 + 30.0 * look
        arms = {
            arm: RatioSums(units, share * units, units, share * units, units, share * units)
            for arm, share in ((STABLE_SLOT, 0.1), ("candidate-a", 0.11))
        }
        metrics = {"conversion": arms, "correct": arms}
        epoch = EpochRecord(started_at=1001.0, weights=weights, units=dict.fromkeys(weights, units), metrics=metrics)
        history = History(started_at=1000.0, epochs=(epoch,), last_data_at=at - 1)
        decision = decide(admission.specification, history, at)
        made = record(chain, admission.specification, history, decision, {})
        chain = chain.after(made)
        events.append(made)
    events.append(PhaseEntered(at=6000.0, phase=phase, reason="test"))
    return events


def pages(client: httpx.Client, path: str, **query: str) -> Iterator[dict[str, Any]]:
    """Yield the items of all pages of a list."""
    parameters: dict[str, str] = {"limit": "2", **query}
    while True:
        page = client.get(path, params=parameters).raise_for_status().json()
        yield from page["items"]
        if page["nextCursor"] is None:
            return
        parameters["cursor"] = page["nextCursor"]
