"""One embedded platform for all end-to-end tests, in namespaces and folders of its own, removed at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import paths
from local.__main__ import EXIT_INTERRUPTED
from local.lifecycle import platform
from local.lifecycle.instance import Instance
from local.progress import ConsoleProgress
from tests.e2e import commands, host
from tests.e2e.cluster import Cluster
from tests.e2e.experiments import champion_kept
from tests.support.ports import free_port


@pytest.fixture(scope="session")
def state_base() -> Iterator[Path]:
    """Folder below which the tested instance keeps everything."""
    with tempfile.TemporaryDirectory(prefix="mlp-test-") as folder:
        Path(folder).chmod(0o755)  # pods run as other users and must be able to pass through
        yield Path(folder)


@pytest.fixture(scope="session")
def machine_before(state_base: Path) -> dict[str, set[str]]:
    """What was on the machine before the instance came."""
    return host.inventory(state_base)


@pytest.fixture(scope="session")
def instance(state_base: Path, machine_before: dict[str, set[str]]) -> Iterator[Instance]:
    """An instance that shares nothing with a platform which `make up` started."""
    assert machine_before["files"] == set()
    name = f"test-{os.getpid()}"
    os.environ |= {"MLP_INSTANCE": name, "MLP_STATE_DIR": str(state_base)}
    os.environ |= {"MLP_API_PORT": str(free_port()), "MLP_GATEWAY_PORT": str(free_port())}
    try:
        yield Instance.from_environment()
    finally:
        subprocess.run([sys.executable, "-m", "local", "down"], cwd=paths.repo_root(), check=True)


@pytest.fixture(scope="session")
def cluster(instance: Instance) -> Cluster:
    """The whole platform, up and serving both models; its first two starts were cut off in the middle of the stack."""
    code, output = commands.up(stop_after="deploying the stack", stop_with=signal.SIGINT)
    assert code == EXIT_INTERRUPTED, output
    code, output = commands.up(stop_after="deploying the stack", stop_with=signal.SIGKILL)
    assert code == -signal.SIGKILL, output
    code, output = commands.up()
    assert code == 0, output
    assert "curl -H 'Host: ml." in output
    return Cluster(platform.existing(instance, ConsoleProgress()))


@pytest.fixture
def champion(cluster: Cluster) -> Iterator[str]:
    """The champion before an experiment on `experiments.MODEL`, and again after it."""
    with champion_kept(cluster) as version:
        yield version


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that remove the platform after all others."""
    items.sort(key=lambda item: "test_remove" in item.nodeid)
