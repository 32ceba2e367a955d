"""A real API server for the whole session, and the provider in front of it."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from pathlib import Path

import pytest

from local.progress import ConsoleProgress
from local.toolchain import Toolchain, ensure
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.local.provider.project import Project
from tests.local.provider.verbs import Verbs, verbs

_CRD = Path(__file__).parent / "route-crd.yaml"


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The control plane's and the engine's executables."""
    return ensure(["etcd", "kubernetes", "pulumi", "pulumi-language-python"], ConsoleProgress())


@pytest.fixture(scope="session")
def api_server(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """A control plane that carries the embedded cluster's marker and knows one custom resource, `Route`."""
    with control_plane(tmp_path_factory.mktemp("control-plane"), toolchain) as running:
        running.mark("provider-tests")
        running.kubectl("apply", "--server-side", "-f", str(_CRD))
        running.kubectl("wait", "--for=condition=Established", "crd/routes.test.mlplatform.dev", "--timeout=30s")
        yield running


@pytest.fixture
def namespace(api_server: ControlPlane) -> Generator[str]:
    """A namespace of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    api_server.kubectl("create", "namespace", name)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def provider(api_server: ControlPlane) -> Generator[Verbs]:
    """A provider that is configured for the API server."""
    with verbs() as calls:
        calls.configure(kubeconfig=str(api_server.kubeconfig))
        yield calls


@pytest.fixture(scope="session")
def first_project(toolchain: Toolchain, api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A Pulumi project with an empty stack, from which the others are copied."""
    it = Project(tmp_path_factory.mktemp("pulumi"), toolchain, api_server.kubeconfig)
    it.create()
    return it


@pytest.fixture
def project(first_project: Project, toolchain: Toolchain, api_server: ControlPlane, tmp_path: Path) -> Project:
    """A Pulumi project with an empty stack of the test's own."""
    it = Project(tmp_path, toolchain, api_server.kubeconfig)
    it.create_like(first_project)
    return it
