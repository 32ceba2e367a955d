"""A real API server that knows Karpenter's kinds."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from local import toolchain
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.support.stacks import ROOT

_DEFINITIONS = ROOT / "tests" / "support" / "crds"


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """A control plane with Karpenter's definitions as its makers publish them."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(tmp_path_factory.mktemp("control-plane"), tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(_DEFINITIONS))
        for kind in ("nodepools.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws"):
            plane.kubectl("wait", "--for=condition=Established", f"crd/{kind}", "--timeout=60s")
        yield plane
