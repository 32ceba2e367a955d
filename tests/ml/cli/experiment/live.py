"""The real API with a real PostgreSQL on loopback; only the Kubernetes API server is a few lines of memory."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from ml.api.__main__ import running
from ml.api.settings import Rates, Settings
from ml.contracts import (
    DEFAULT_CANDIDATE_SLOT,
    MODEL_LABEL,
    SLOTS_ANNOTATION,
    STABLE_SLOT,
    TRAFFIC_ROLE_LABEL,
    TRAFFIC_ROLE_ROOT,
    root_route_name,
)
from ml.events.pool import DatabaseSettings, open_pool
from ml.events.schema import migrate
from ml.events.store import PostgresEventStore
from ml.events.types import AnyEvent, experiment_stream
from tests.ml.api.page.simulated import MODEL, Simulated
from tests.support.postgres import shared_postgres

TOKENS = {scope: scope[0] * 40 for scope in ("read", "write", "decide")}
NAMESPACE = "mlplatform"


@dataclass
class Cluster:
    """ABTest objects as the API server keeps them, and one declared model."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if name == "virtualservices":
            return httpx.Response(200, json={"items": [self._root()]})
        if request.method == "POST":
            manifest = json.loads(request.content)
            wanted = manifest["metadata"]["name"]
            if wanted in self.made:
                return httpx.Response(409, json={"kind": "Status", "reason": "AlreadyExists", "message": "exists"})
            manifest["metadata"]["uid"] = str(uuid.uuid4())
            self.made[wanted] = manifest
            return httpx.Response(201, json=manifest)
        if name in self.made:
            return httpx.Response(200, json=self.made[name])
        return httpx.Response(404, json={"kind": "Status", "reason": "NotFound", "message": "not found"})

    @staticmethod
    def _root() -> dict[str, Any]:
        return {
            "metadata": {
                "name": root_route_name(MODEL),
                "labels": {MODEL_LABEL: MODEL, TRAFFIC_ROLE_LABEL: TRAFFIC_ROLE_ROOT},
                "annotations": {SLOTS_ANNOTATION: f"{STABLE_SLOT},{DEFAULT_CANDIDATE_SLOT}"},
            },
            "spec": {"http": [{"match": [{"uri": {"exact": f"/v1/models/{MODEL}"}}]}]},
        }


@dataclass(frozen=True)
class LiveApi:
    """The API's address, and what lies behind it."""

    url: str
    cluster: Cluster
    database: DatabaseSettings

    def put(self, experiment: Simulated) -> None:
        """Store an experiment's events and wait until the read models show all of them."""
        self.append(experiment.id, 0, experiment.events)
        headers = {"Authorization": f"Bearer {TOKENS['read']}"}
        until, seen = time.monotonic() + 20, ""
        path = f"{self.url}/ml/ab-tests/{experiment.name}"
        while time.monotonic() < until:
            answer = httpx.get(path, headers=headers, trust_env=False)
            seen = answer.text
            if answer.is_success and answer.json()["position"] == len(experiment.events):
                return
            time.sleep(0.1)
        raise AssertionError(f"{experiment.name} did not come up: {seen}")

    def append(self, experiment: str, expected: int, events: tuple[AnyEvent, ...]) -> None:
        """Append events to the stream of an experiment."""

        async def store() -> None:
            async with open_pool(self.database, size=2) as pool:
                await migrate(pool)
                await PostgresEventStore(pool).append(experiment_stream(experiment), expected, events)

        asyncio.run(store())

    def tamper(self, statement: str) -> None:
        """Change the database as its administrator could."""
        with shared_postgres().connect(self.database.database) as administrator:
            administrator.execute(statement)  # type: ignore[arg-type]


@contextmanager
def live_api(folder: Path) -> Generator[LiveApi]:
    """Serve the API while the body runs."""
    for scope, token in TOKENS.items():
        (folder / scope).write_text(token, encoding="ascii")
    settings = Settings(
        namespace=NAMESPACE,
        tokens_dir=folder,
        rates=Rates(reads_per_second=10_000, writes_per_second=10_000),
    )
    database, cluster = shared_postgres().new_database(), Cluster()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        transport = httpx.MockTransport(cluster.answer)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://kubernetes") as client,
            running(settings, database, client) as app,
        ):
            servers.append(uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)))
            await servers[0].serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    until = time.monotonic() + 60
    while not (servers and servers[0].started) or httpx.get(f"{url}/readyz", trust_env=False).status_code != 200:
        assert thread.is_alive(), "the API has ended"
        assert time.monotonic() < until, "the API is not ready"
        time.sleep(0.1)
    try:
        yield LiveApi(url, cluster, database)
    finally:
        servers[0].should_exit = True
        thread.join(timeout=20)
