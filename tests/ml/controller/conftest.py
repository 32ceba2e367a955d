"""The controller runs against a real Kubernetes API, with the rights it has in its pod and a line that can be cut."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from local import toolchain
from ml.controller.__main__ import run
from ml.controller.config import Config, load_config
from tests.local.provider.control_plane import control_plane
from tests.ml.controller.cluster import NAMESPACE, Cluster, eventually
from tests.ml.controller.relay import Relay
from tests.support.ports import free_port


@dataclass(frozen=True)
class Controller:
    """The running controller."""

    relay: Relay
    health_url: str
    metrics_url: str


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane that knows routes and the controller's account."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(tmp_path_factory.mktemp("api"), tools) as plane:
        found = Cluster(tools.bin("kubectl"), plane.kubeconfig, plane.client)
        found.install()
        yield found


@pytest.fixture
def controller(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    """The controller without database, registry and metrics store."""
    with running_controller(cluster, tmp_path, monkeypatch) as found:
        yield found


@contextmanager
def running_controller(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str
) -> Generator[Controller]:
    """The whole controller in a thread; its only way to the API is the relay."""
    admin = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    target: dict[str, Any] = admin["clusters"][0]["cluster"]
    address = urlsplit(str(target["server"]))
    assert address.hostname is not None
    assert address.port is not None
    relay = Relay((address.hostname, address.port))
    relay.start()
    server = f"https://127.0.0.1:{relay.port}"
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(_account_kubeconfig(target, server, cluster.token())), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(file))
    config = controller_config(free_port(), **environment)
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_run(cluster, server, config, stop)), name="controller", daemon=True
    )
    thread.start()
    url = f"http://127.0.0.1:{config.health_port}/healthz"
    try:
        eventually(lambda: _answers(url), "the controller is healthy")
        yield Controller(relay, url, f"http://127.0.0.1:{config.metrics_port}/metrics")
    finally:
        stop.set()
        thread.join(15)
        relay.cut()
    assert not thread.is_alive()


def controller_config(health_port: int, **others: str) -> Config:
    """Return settings of a controller on this machine; without others its database and peers are out of reach."""
    nowhere = str(free_port())
    return load_config(
        {
            "NAMESPACE": NAMESPACE,
            "POD_NAME": "controller-0",
            "HEALTH_PORT": str(health_port),
            "METRICS_PORT": str(free_port()),
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": nowhere,
            "DATABASE_NAME": "events",
            "DATABASE_USER": "events",
            "DATABASE_PASSWORD": "none",
            "REGISTRY_URL": f"http://127.0.0.1:{nowhere}",
            "PROMETHEUS_URL": f"http://127.0.0.1:{nowhere}",
            **others,
        }
    )


def _account_kubeconfig(target: dict[str, Any], server: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": NAMESPACE}}],
        "clusters": [{"name": "it", "cluster": {**target, "server": server}}],
        "users": [{"name": "it", "user": {"token": token}}],
    }


def account_client(cluster: Cluster, server: str | None = None) -> httpx.AsyncClient:
    """Return a client of the API with the controller's own rights."""
    target = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cadata=base64.b64decode(target["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    address = server or str(target["server"])
    return httpx.AsyncClient(base_url=address, verify=trust, headers=headers, timeout=3.0, trust_env=False)


async def _run(cluster: Cluster, server: str, config: Config, stopped: threading.Event) -> None:
    stop = asyncio.Event()

    async def pass_on() -> None:
        while not stopped.is_set():
            await asyncio.sleep(0.1)
        stop.set()

    async with account_client(cluster, server) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_on())
        tasks.create_task(run(config, client, stop))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False
