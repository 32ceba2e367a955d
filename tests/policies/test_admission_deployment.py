"""The policies come and go with a stack: real engine, real API server, stand-in as provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.toolchain import Toolchain
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.project import Project
from tests.policies.packs import PACK
from tests.support.stacks import ROOT

_PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from components.admission_policies import AdmissionPolicies, AdmissionPoliciesArgs
AdmissionPolicies("admission-policies", AdmissionPoliciesArgs(namespace_name="engine", stack="dev"),
    ResourceOptions(providers=[provider]))
"""


@pytest.fixture
def project(toolchain: Toolchain, api_server: ControlPlane, tmp_path: Path) -> Project:
    it = Project(tmp_path, toolchain, api_server.kubeconfig)
    it.create()
    it.program(_PROGRAM)
    return it


def names(server: ControlPlane) -> set[str]:
    kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    items = json.loads(server.kubectl("get", kinds, "-o", "json"))["items"]
    return {item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith("engine-")}


def test_policies_come_stay_and_go_when_a_stack_does(project: Project, api_server: ControlPlane) -> None:
    project.up("--policy-pack", str(PACK))
    assert names(api_server) >= {"engine-workloads-mandatory", "engine-objects-mandatory", "engine-mesh-mandatory"}

    project.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    project.run("preview", "--expect-no-changes")

    project.run("destroy", "--yes", "--skip-preview")
    assert names(api_server) == set()
