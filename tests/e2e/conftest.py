"""One embedded platform for all end-to-end tests, in namespaces and folders of its own, removed at the end."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.lifecycle import diagnosis, platform
from local.lifecycle.instance import Instance
from local.progress import ConsoleProgress
from tests.e2e.cluster import Cluster


def free_port() -> int:
    """Return a TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def instance() -> Iterator[Instance]:
    """An instance that shares nothing with a platform which `make up` started."""
    with tempfile.TemporaryDirectory(prefix="mlp-test-") as folder:
        name = f"test-{os.getpid()}"
        os.environ |= {"MLP_INSTANCE": name, "MLP_STATE_DIR": folder}
        os.environ |= {"MLP_API_PORT": str(free_port()), "MLP_GATEWAY_PORT": str(free_port())}
        Path(folder).chmod(0o755)
        try:
            yield Instance.from_environment()
        finally:
            platform.down(Instance.from_environment(), ConsoleProgress())


@pytest.fixture(scope="session")
def cluster(instance: Instance) -> Cluster:
    """The whole platform, up and serving both models."""
    progress = ConsoleProgress()
    try:
        running = platform.up(instance, progress)
    except platform.StepError:
        for line in diagnosis.report({**os.environ, "KUBECONFIG": str(instance.kubeconfig)}):
            progress(line)
        raise
    return Cluster(running)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that remove the platform after all others."""
    items.sort(key=lambda item: "test_remove" in item.nodeid)
