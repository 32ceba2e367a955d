"""Waiting while the API server is away. Waits that see objects are the part of test_create and test_delete."""

from __future__ import annotations

import socket
import threading

import pytest

from local.provider.config import ProviderConfig
from local.provider.discovery import Discovery, Mapping
from local.provider.kubeclient import KubeClient
from local.provider.kubeconfig import Cluster
from local.provider.readiness import State
from local.provider.session import Session
from local.provider.values import Object
from local.provider.waiting import Waiter

_SERVICES = Mapping("v1", "services", is_namespaced=True)
_SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "n", "uid": "1"},
    "spec": {"selector": {"app": "web"}},
}


@pytest.fixture
def waiter() -> Waiter:
    """A waiter whose API server's port is closed."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    cluster = Cluster(
        server=f"https://127.0.0.1:{port}",
        namespace="",
        ca=None,
        client_certificate=None,
        client_key=None,
        token=None,
        insecure=False,
    )
    client = KubeClient(cluster)
    session = Session(ProviderConfig(), client, Discovery(client), threading.Event(), "", "test")
    return Waiter(session)


def test_the_object_is_kept_and_the_cause_named_when_the_server_stays_away(waiter: Waiter) -> None:
    said: list[str] = []

    outcome = waiter.until_ready(_SERVICE, _SERVICES, 1.5, said.append)

    assert outcome.live == _SERVICE
    assert outcome.readiness.state is State.FAILED
    assert "not ready after 1.5 s: the API server does not answer" in outcome.readiness.message
    assert said[0].startswith("the API server does not answer")


def test_deletion_is_not_taken_for_done_when_the_server_stays_away(waiter: Waiter) -> None:
    with pytest.raises(TimeoutError, match=r"still exists after 0\.3 s: the API server does not answer"):
        waiter.until_gone(_SERVICE, _SERVICES, 0.3, lambda _: None)
