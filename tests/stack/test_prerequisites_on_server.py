"""`mlp prerequisites` against a real API server: it says what is missing, too old or there, and all of it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local.progress import ConsoleProgress
from local.toolchain import ensure
from ml.cli.app import app
from tests.local.provider.control_plane import ControlPlane, control_plane
from tests.support.stacks import ROOT

pytestmark = pytest.mark.slow

MESH = ROOT / "local" / "node" / "crds" / "istio-1.30.3-crd-all.yaml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    tools = ensure(["etcd", "kubernetes"], ConsoleProgress())
    with control_plane(tmp_path_factory.mktemp("control-plane"), tools) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: mlplatform\n", encoding="utf-8")
    return tmp_path


def ask(server: ControlPlane, project: Path, states: dict[str, str], *arguments: str) -> Result:
    config = {"mlplatform:prerequisites": states, "mlplatform:kubeconfig": str(server.kubeconfig)}
    (project / "Pulumi.test.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
    environment = {"PATH": f"{server.tools}:{os.environ['PATH']}", "MLP_PROJECT_DIR": str(project)}
    return CliRunner().invoke(app, ["--stack", "test", "prerequisites", *arguments], env=environment)


def define(server: ControlPlane, group: str, plural: str, kind: str, version: str) -> None:
    """Define a kind of which one version is served, and an older one is known and not served."""

    def of(name: str, *, served: bool) -> dict[str, Any]:
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        return {"name": name, "served": served, "storage": served, "schema": schema}

    apply(
        server,
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                "versions": [of(version, served=True), of("v1alpha0", served=False)],
            },
        },
    )
    server.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}", "--timeout=60s")


def run_operator(server: ControlPlane, labels: dict[str, str], image: str) -> None:
    pod = {"containers": [{"name": "operator", "image": image}]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    metadata = {"name": "operator-" + "-".join(labels.values()), "namespace": "default", "labels": labels}
    apply(server, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def apply(server: ControlPlane, manifest: dict[str, Any]) -> None:
    file = server.kubeconfig.parent / "object.json"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    server.kubectl("apply", "--server-side", "-f", str(file))


def test_everything_that_is_missing_is_named_at_once_when_the_cluster_is_empty(
    server: ControlPlane, project: Path
) -> None:
    done = ask(server, project, {"keda": "present", "externalDns": "present", "gpuOperator": "install"})
    assert done.exit_code == 1
    (what, *_) = done.stderr.splitlines()
    assert what == "error: 3 prerequisites of stack `test` not met in the cluster, nothing has been deployed into it:"
    assert "  - Istio 1.22 or later: the cluster does not know gateways.networking.istio.io, virtual" in done.stderr
    assert "  - KEDA 2.15 or later: the cluster does not know scaledobjects.keda.sh, triggerauth" in done.stderr
    assert "  - external-dns 0.14 or later: no Deployment has the labels app.kubernetes.io/name=ext" in done.stderr
    assert "let the stack do it: `mlplatform:prerequisites: {istio: install, keda: install, ext" in done.stderr
    assert "GPU" not in done.stderr


def test_mesh_is_found_when_its_definitions_are_there(server: ControlPlane, project: Path) -> None:
    server.kubectl("apply", "--server-side", "-f", str(MESH))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    done = ask(server, project, {})
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "Istio is there\n"


def test_served_versions_are_named_when_the_needed_one_is_not_among_them(server: ControlPlane, project: Path) -> None:
    define(server, "keda.sh", "scaledobjects", "ScaledObject", "v2")
    define(server, "keda.sh", "triggerauthentications", "TriggerAuthentication", "v1alpha1")
    done = ask(server, project, {"keda": "present"})
    assert done.exit_code == 1
    assert "KEDA 2.15 or later: scaledobjects.keda.sh is served in v2, needed is v1alpha1\n" in done.stderr


def test_image_is_named_when_the_operator_is_too_old(server: ControlPlane, project: Path) -> None:
    for kind in ("Cluster", "Database", "DatabaseRole", "ScheduledBackup"):
        define(server, "postgresql.cnpg.io", f"{kind.lower()}s", kind, "v1")
    labels = {"app.kubernetes.io/name": "cloudnative-pg"}
    run_operator(server, labels, "ghcr.io/cloudnative-pg/cloudnative-pg:1.29.3")
    done = ask(server, project, {"cloudNativePg": "present"})
    assert "  - CloudNativePG 1.30 or later: ghcr.io/cloudnative-pg/cloudnative-pg:1.29.3 runs\n" in done.stderr
    run_operator(server, labels, f"ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0@sha256:{'0' * 64}")
    assert ask(server, project, {"cloudNativePg": "present"}).exit_code == 0


def test_software_without_definitions_is_found_by_its_deployment_when_it_runs(
    server: ControlPlane, project: Path
) -> None:
    run_operator(
        server, {"app.kubernetes.io/name": "external-dns"}, "registry.k8s.io/external-dns/external-dns:v0.22.0"
    )
    done = ask(server, project, {"externalDns": "present"}, "--json")
    assert done.exit_code == 0
    found = {item["name"]: item for item in json.loads(done.stdout)["prerequisites"]}
    assert found["externalDns"] == {
        "name": "externalDns",
        "title": "external-dns",
        "needed": "0.14",
        "problems": [],
        "met": True,
    }


def test_driver_of_devices_is_found_by_the_kind_that_it_offers(server: ControlPlane, project: Path) -> None:
    done = ask(server, project, {"draDriver": "present"})
    assert done.exit_code == 1
    assert "  - NVIDIA DRA driver 0.4 or later: the cluster has no DeviceClass gpu.nvidia.com\n" in done.stderr
    assert "let the stack do it" not in done.stderr, "it cannot"
    kind = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "gpu.nvidia.com"}}
    apply(server, {**kind, "spec": {"selectors": [{"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}]}})
    assert ask(server, project, {"draDriver": "present"}).exit_code == 0


def test_nodes_are_named_when_a_device_plugin_counts_what_the_driver_offers(
    server: ControlPlane, project: Path
) -> None:
    """The first is as it must be, the second a rest of the time before, the third what nobody notices."""
    for name, cards in (("driver-only", None), ("plugin-gone", "0"), ("both", "2"), ("plugin-only", "2")):
        apply(server, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        capacity = {"cpu": "8", **({} if cards is None else {"nvidia.com/gpu": cards})}
        patch = json.dumps({"status": {"capacity": capacity}})
        server.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)
        pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": "gpu.nvidia.com", "nodeName": name, "pool": pool, "devices": [{"name": "gpu-0"}]}
        if name != "plugin-only":
            metadata = {"name": f"{name}-cards"}
            apply(
                server,
                {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": metadata, "spec": spec},
            )
    done = ask(server, project, {"draDriver": "present"})
    assert done.exit_code == 1
    assert "  - NVIDIA DRA driver 0.4 or later: a device plugin hands out the same devices on both\n" in done.stderr
    server.kubectl("delete", "node", "both")
    assert ask(server, project, {"draDriver": "present"}).exit_code == 0


def test_whoever_may_not_look_is_told_so_when_asking(server: ControlPlane, project: Path) -> None:
    config = json.loads(server.kubectl("config", "view", "--raw", "--output=json"))
    config["users"][0]["user"]["as"] = "system:anonymous"
    file = project / "kubeconfig"
    file.write_text(json.dumps(config), encoding="utf-8")
    stranger = ControlPlane(file, server.client, server.tools / "kubectl")
    done = ask(stranger, project, {})
    assert done.exit_code == 1
    assert "forbidden" in done.stderr.lower()
