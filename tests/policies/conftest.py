"""A real API server that knows the kinds of the mesh, of experiments and of database clusters."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from local.progress import ConsoleProgress
from local.toolchain import Toolchain, ensure
from tests.local.provider.control_plane import ControlPlane, control_plane

_ROOT = Path(__file__).resolve().parents[2]
_DEFINITIONS = (
    _ROOT / "local" / "node" / "crds" / "istio-1.30.3-crd-all.yaml",
    _ROOT / "components" / "crds" / "abtests.yaml",
    _ROOT / "tests" / "support" / "crds" / "cnpg-1.30.0-clusters.yaml",
    _ROOT / "tests" / "support" / "crds" / "cnpg-1.30.0-scheduledbackups.yaml",
    Path(__file__).parent / "service-monitor-crd.yaml",
)


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The engine's executables."""
    return ensure(["pulumi", "pulumi-language-python"], ConsoleProgress())


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """A control plane without nodes; controllers make pods, nothing runs them."""
    tools = ensure(["etcd", "kubernetes"], ConsoleProgress())
    with control_plane(tmp_path_factory.mktemp("control-plane"), tools) as running:
        running.mark("policy-tests")
        for file in _DEFINITIONS:
            running.kubectl("apply", "--server-side", "-f", str(file))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield running
