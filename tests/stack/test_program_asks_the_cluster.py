"""The program against a real API server, by the real engine: what is said to be present is looked for first."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Generator
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
import pytest
import yaml

from components.platform_expectations import UnmetPrerequisitesError, with_prerequisites
from components.settings import load
from local.progress import ConsoleProgress
from local.toolchain import Toolchain, ensure
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.local.provider.project import Project
from tests.support.recording_monitor import Graph, run
from tests.support.stacks import MASTER_SECRET, ROOT

pytestmark = pytest.mark.slow

MESH = ROOT / "local" / "node" / "crds" / "istio-1.30.3-crd-all.yaml"
UNMET = (
    "error: 2 prerequisites of stack `test` not met in the cluster, nothing has been deployed into it:",
    "  - KEDA 2.15 or later: the cluster does not know scaledobjects.keda.sh, triggerauthentications.keda.sh",
    "  - external-dns 0.14 or later: no Deployment has the labels app.kubernetes.io/name=external-dns",
)
REMEDY = "or let the stack do it: `mlplatform:prerequisites: {keda: install, externalDns: install}`"


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return ensure(["etcd", "kubernetes", "pulumi", "pulumi-language-python"], ConsoleProgress())


@pytest.fixture(scope="module")
def server(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    """A cluster with the mesh and nothing else."""
    with control_plane(tmp_path_factory.mktemp("control-plane"), toolchain) as running:
        running.mark("program-tests")
        running.kubectl("apply", "--server-side", "-f", str(MESH))
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield running


@pytest.fixture(scope="module")
def project(toolchain: Toolchain, server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A stack of this repository's program in a project folder of its own."""
    it = Project(tmp_path_factory.mktemp("pulumi"), toolchain, server.kubeconfig)
    it.create()
    (it.folder / "program").symlink_to(ROOT)
    file = it.folder / "Pulumi.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "main": "program"}), encoding="utf-8")
    it.run("config", "set", "--secret", "masterSecret", MASTER_SECRET)
    return it


def configure(project: Project, kubeconfig: str | Path, **prerequisites: str) -> None:
    """Give the stack what `dev` has, but for the way to its cluster and what must be there."""
    committed = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    settings = {key.removeprefix("mlplatform:"): value for key, value in committed.items()}
    del settings["context"]
    settings |= {"kubeconfig": str(kubeconfig), "prerequisites": prerequisites}
    file = project.folder / "Pulumi.test.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    kept = {"demo:masterSecret": content["config"]["demo:masterSecret"]}
    own = {key if ":" in key else f"demo:{key}": value for key, value in settings.items()}
    file.write_text(json.dumps({**content, "config": {**own, **kept}}), encoding="utf-8")


def made(project: Project) -> set[str]:
    """Return the names of everything but the stack itself that the engine has made."""
    return set(project.resources()) - {"demo-test"}


def elsewhere(server: ControlPlane, folder: Path, address: str) -> Path:
    """Return a kubeconfig that leads to where no cluster answers."""
    text = server.kubeconfig.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["clusters"][0]["cluster"]["server"] = address
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_everything_unmet_is_one_error_and_nothing_is_created_when_updated(
    server: ControlPlane, project: Project
) -> None:
    configure(project, server.kubeconfig, keda="present", externalDns="present", gpuOperator="install")
    said = project.fail("up", "--yes", "--skip-preview")
    assert "\n".join(UNMET) in said.replace("\n    ", "\n")
    assert REMEDY in said
    assert said.partition("Diagnostics:")[2].count(UNMET[0]) == 1
    assert "Traceback" not in said
    assert made(project) == set()
    assert server.client.find("/api/v1/namespaces/free-deep-research") is None


def test_claims_are_refused_and_nothing_is_created_when_no_driver_offers_cards(
    server: ControlPlane, project: Project
) -> None:
    configure(project, server.kubeconfig, draDriver="present")
    project.run("config", "set", "gpu", json.dumps({"allocation": "claims"}))
    said = project.fail("up", "--yes", "--skip-preview")
    assert "error: 1 prerequisite of stack `test` not met in the cluster, nothing has been deployed into it:" in said
    assert "  - NVIDIA DRA driver 0.4 or later: the cluster has no DeviceClass gpu.nvidia.com" in said
    assert made(project) == set()


def test_preview_is_refused_in_the_same_words_when_something_is_unmet(server: ControlPlane, project: Project) -> None:
    configure(project, server.kubeconfig, keda="present", externalDns="present")
    said = project.fail("preview")
    assert "\n".join(UNMET) in said.replace("\n    ", "\n")
    assert "mlplatform:index" not in said


def test_platform_is_planned_when_the_cluster_has_what_is_expected(server: ControlPlane, project: Project) -> None:
    configure(project, server.kubeconfig)
    said = project.run("preview")
    assert "mlplatform:index:MlPlatform" in said
    assert "prerequisites of stack" not in said


def test_kubeconfig_is_not_left_behind_when_its_content_is_the_setting(
    server: ControlPlane, project: Project, tmp_path: Path
) -> None:
    configure(project, "", keda="present", externalDns="present")
    project.environment["TMPDIR"] = str(tmp_path)
    project.run("config", "set", "--secret", "kubeconfig", server.kubeconfig.read_text(encoding="utf-8"))
    said = project.fail("preview")
    del project.environment["TMPDIR"]
    assert "\n".join(UNMET) in said.replace("\n    ", "\n")
    key = yaml.safe_load(server.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["client-key-data"]
    assert [file for file in tmp_path.rglob("*") if file.is_file() and key in file.read_text(errors="replace")] == []


def test_preview_goes_on_and_update_is_refused_when_no_cluster_answers(
    server: ControlPlane, project: Project, tmp_path: Path
) -> None:
    configure(project, elsewhere(server, tmp_path, "https://127.0.0.1:1"))
    said = project.run("preview")
    what = "the cluster does not say whether it meets the prerequisites of stack `test`: "
    assert f"warning: {what}The connection to the server 127.0.0.1:1 was refused" in said
    assert "mlplatform:index:MlPlatform" in said
    said = project.fail("up", "--yes", "--skip-preview")
    assert f"error: {what}The connection to the server 127.0.0.1:1 was refused" in said
    assert made(project) == set()


def test_cluster_is_not_asked_when_the_environment_says_so(
    server: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(server.tools), prepend=os.pathsep)
    expecting = {
        "mlplatform:kubeconfig": str(server.kubeconfig),
        "mlplatform:imageRegistry": "registry.example.org",
        "mlplatform:masterSecret": MASTER_SECRET,
        "mlplatform:prerequisites": json.dumps({"keda": "present"}),
    }

    def declared(asks_cluster: bool) -> Graph:
        """Run the program, which finds in its environment whether it is to ask."""
        return run(
            lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__").clear(),
            config=expecting,
            encrypted=("mlplatform:masterSecret",),
            asks_cluster=asks_cluster,
        )

    assert declared(asks_cluster=False).of_type("mlplatform:index:MlPlatform")
    with pytest.raises(UnmetPrerequisitesError, match="KEDA"):
        declared(asks_cluster=True)


def declare_inside(server: ControlPlane, monkeypatch: pytest.MonkeyPatch, present: str, declared: list[str]) -> None:
    """Declare the provider of a cluster that the stack has just made, as on AWS; `declared` gets what has a URN."""
    monkeypatch.setenv("PATH", str(server.tools), prepend=os.pathsep)

    def program() -> None:
        kubeconfig = pulumi.Output.from_input(server.kubeconfig.read_text(encoding="utf-8"))
        provider = k8s.Provider("inside", kubeconfig=with_prerequisites(load(), kubeconfig))
        provider.urn.apply(declared.append)

    config = {
        "mlplatform:kubeconfig": "/not/asked/for",
        "mlplatform:imageRegistry": "registry.example.org",
        "mlplatform:masterSecret": MASTER_SECRET,
        "mlplatform:prerequisites": json.dumps({present: "present"}),
    }
    run(program, config=config, encrypted=("mlplatform:masterSecret",), asks_cluster=True)


def test_cluster_of_the_stacks_own_is_used_when_it_has_what_is_expected(
    server: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []
    declare_inside(server, monkeypatch, "istio", declared)
    assert len(declared) == 1


def test_nothing_is_put_into_a_cluster_of_the_stacks_own_when_it_lacks_what_is_expected(
    server: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []
    with pytest.raises(UnmetPrerequisitesError, match="KEDA"):
        declare_inside(server, monkeypatch, "keda", declared)
    assert declared == []
