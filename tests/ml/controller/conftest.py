"""The controller runs against a real Kubernetes API, with the rights it has in its pod and a line that can be cut."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import kopf
import pytest
import yaml

from local import toolchain
from ml.controller.keeper import SplitKeeper
from ml.controller.operator import build_registry
from ml.controller.virtual_services import VirtualServices
from tests.local.provider.control_plane import control_plane
from tests.ml.controller.cluster import NAMESPACE, Cluster, eventually
from tests.ml.controller.relay import Relay, free_port


@dataclass(frozen=True)
class Controller:
    """The running controller."""

    relay: Relay
    health_url: str


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane that knows routes and the controller's account."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(tmp_path_factory.mktemp("api"), tools) as plane:
        found = Cluster(tools.bin("kubectl"), plane.kubeconfig)
        found.install()
        yield found


@pytest.fixture
def controller(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    """The controller in a thread; its only way to the API is the relay."""
    admin = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    target: dict[str, Any] = admin["clusters"][0]["cluster"]
    address = urlsplit(str(target["server"]))
    assert address.hostname is not None
    assert address.port is not None
    relay = Relay((address.hostname, address.port))
    relay.start()
    health_port = free_port()
    kubeconfig = _account_kubeconfig(target, f"https://127.0.0.1:{relay.port}", cluster.token())
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(file))
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_run(kubeconfig, health_port, stop)), name="controller", daemon=True
    )
    thread.start()
    url = f"http://127.0.0.1:{health_port}/healthz"
    eventually(lambda: _answers(url), "the controller is healthy")
    yield Controller(relay, url)
    stop.set()
    thread.join(15)
    relay.cut()
    assert not thread.is_alive()


def _account_kubeconfig(target: dict[str, Any], server: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": NAMESPACE}}],
        "clusters": [{"name": "it", "cluster": {**target, "server": server}}],
        "users": [{"name": "it", "user": {"token": token}}],
    }


async def _run(kubeconfig: dict[str, Any], health_port: int, stop: threading.Event) -> None:
    target = kubeconfig["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cadata=base64.b64decode(target["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {kubeconfig['users'][0]['user']['token']}"}
    async with httpx.AsyncClient(base_url=target["server"], verify=trust, headers=headers) as client:
        api = VirtualServices(client, NAMESPACE)
        await kopf.operator(
            registry=build_registry(api, SplitKeeper(api, timeout_seconds=30)),
            namespaces=[NAMESPACE],
            standalone=True,
            liveness_endpoint=f"http://127.0.0.1:{health_port}/healthz",
            stop_flag=stop,
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False
