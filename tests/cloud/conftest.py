"""A real API server that knows the kinds of Karpenter, KEDA and NVIDIA's operator."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from local import toolchain
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.support.stacks import ROOT

_KINDS = (
    "nodepools.karpenter.sh",
    "nodeoverlays.karpenter.sh",
    "ec2nodeclasses.karpenter.k8s.aws",
    "scaledobjects.keda.sh",
    "clusterpolicies.nvidia.com",
)
_DEFINITIONS = ROOT / "tests" / "support" / "crds"


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """A control plane with these definitions as their makers publish them."""
    tools = toolchain.ensure(["etcd", "kubernetes"])
    with control_plane(tmp_path_factory.mktemp("control-plane"), tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(_DEFINITIONS))
        for kind in _KINDS:
            plane.kubectl("wait", "--for=condition=Established", f"crd/{kind}", "--timeout=60s")
        yield plane
