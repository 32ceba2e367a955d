"""The embedded node by itself: real processes, real pods, and what is left of them after every kind of end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import node, toolchain
from local.node import NodeConfig, NodeError, processes
from local.progress import ConsoleProgress
from tests.e2e import host, tiny_image
from tests.e2e.node_support import (
    ADDON_IMAGES,
    IDLE,
    SHELL_IMAGE,
    WRITER,
    NodeUnderTest,
    claim,
    eventually,
    new_config,
    pod,
)
from tests.support.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tools() -> toolchain.Toolchain:
    return toolchain.ensure([*node.NODE_TOOLS, "coredns", "metrics-server"], ConsoleProgress())


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory, tools: toolchain.Toolchain) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    programs = tiny_image.with_libraries("/bin/sh", "/bin/cat", "/bin/sleep", "/usr/bin/stat", "/usr/bin/getent")
    tiny_image.write(folder / "shell.tar", SHELL_IMAGE, programs, ["/bin/sh", "-c", IDLE])
    for name, reference in ADDON_IMAGES.items():
        tiny_image.write(folder / f"{name}.tar", reference, {f"/{name}": tools.bin(name)}, [f"/{name}"])
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, tools: toolchain.Toolchain, archives: list[Path]
) -> Iterator[NodeUnderTest]:
    config = new_config(f"node-{os.getpid()}", tmp_path_factory.mktemp("state"))
    try:
        embedded = NodeUnderTest(config, tools)
        embedded.furnish(embedded.start(), archives)
        yield embedded
    finally:
        node.destroy(config.name, config.state_dir)


def test_start_returns_the_same_node_when_it_runs_already(embedded: NodeUnderTest) -> None:
    first = node.attach(embedded.config.state_dir).pid
    assert embedded.start().pid == first
    assert embedded.is_ready()


def test_start_names_the_port_when_it_is_taken(embedded: NodeUnderTest, tmp_path: Path) -> None:
    taken = NodeConfig(
        name="taken",
        state_dir=tmp_path / "node",
        api_port=embedded.config.api_port,
        gateway_port=free_port(),
        pause_image=SHELL_IMAGE,
    )
    with pytest.raises(NodeError, match=f"api_port={embedded.config.api_port}: cannot listen"):
        node.start(taken, embedded.tools, ConsoleProgress())
    assert not node.is_running(taken.state_dir)


def test_data_and_objects_are_there_when_the_node_was_stopped_and_started(embedded: NodeUnderTest) -> None:
    embedded.apply(claim("kept"), pod("writer", "kept", WRITER))
    embedded.kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=60s")
    assert embedded.kubectl("exec", "writer", "--", "stat", "-c", "%u:%g", "/data/log").strip() == "1234:5678"
    node.stop(embedded.config.name, embedded.config.state_dir)
    assert not node.is_running(embedded.config.state_dir)
    embedded.start()
    embedded.kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=60s")
    assert embedded.kubectl("exec", "writer", "--", "cat", "/data/log").splitlines() == ["started", "started"]
    assert "started" not in embedded.kubectl("logs", "writer")


def test_names_are_resolved_when_addons_are_installed(embedded: NodeUnderTest) -> None:
    embedded.apply(claim("names"), pod("resolver", "names", IDLE))
    embedded.kubectl("wait", "--for=condition=Ready", "pod/resolver", "--timeout=60s")
    found = embedded.kubectl("exec", "resolver", "--", "getent", "hosts", "kubernetes.default.svc.cluster.local")
    assert found.split()[0] == "10.96.0.1"


def test_definitions_and_marker_exist_when_addons_are_installed(embedded: NodeUnderTest) -> None:
    names = embedded.kubectl("get", "customresourcedefinitions", "-o", "name")
    assert "virtualservices.networking.istio.io" in names
    assert "envoyfilters.networking.istio.io" in names
    marker = json.loads(embedded.kubectl("get", "-n", "kube-system", "configmap", "mlplatform-embedded", "-o", "json"))
    assert marker["data"] == {"instance": embedded.config.name}


def test_use_of_resources_is_known_when_addons_are_installed(embedded: NodeUnderTest) -> None:
    embedded.kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=90s")
    eventually(
        lambda: json.loads(embedded.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))["items"] != [],
        60,
        "metrics-server knows the node",
    )


def test_folder_goes_when_its_claim_is_deleted(embedded: NodeUnderTest) -> None:
    embedded.apply(claim("gone"))
    embedded.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/gone", "--timeout=30s")
    volume = embedded.kubectl("get", "pvc", "gone", "-o", "jsonpath={.spec.volumeName}")
    folder = embedded.config.state_dir / "volumes" / volume
    assert folder.is_dir()
    embedded.kubectl("delete", "pvc", "gone")
    embedded.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=30s")
    assert not folder.exists()


def test_owner_is_told_when_a_claim_cannot_be_met(embedded: NodeUnderTest) -> None:
    shared = claim("shared")
    shared["spec"] = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}}
    embedded.apply(shared)
    selector = "--field-selector=involvedObject.name=shared,reason=ProvisioningFailed"
    eventually(
        lambda: "ReadWriteMany is not provided" in embedded.kubectl("get", "events", selector),
        20,
        "an event that says why",
    )
    embedded.kubectl("delete", "pvc", "shared")


def test_gateway_port_leads_to_the_gateway_service(embedded: NodeUnderTest) -> None:
    addresses = embedded.kubectl(
        "get",
        "pods",
        "-n",
        "kube-system",
        "-l",
        "app.kubernetes.io/name=coredns",
        "-o",
        "jsonpath={.items[0].status.podIP}",
    )
    metadata = {"name": "istio-ingressgateway", "namespace": "istio-system"}
    labels = {"kubernetes.io/service-name": "istio-ingressgateway"}
    embedded.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": node.GATEWAY_SERVICE_ADDRESS, "ports": [{"name": "http", "port": 80}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 9153}],
            "endpoints": [{"addresses": [addresses]}],
        },
    )
    url = f"http://127.0.0.1:{embedded.config.gateway_port}/metrics"

    def answers() -> bool:
        try:
            return "coredns_build_info" in httpx.get(url, timeout=2, trust_env=False).text
        except httpx.HTTPError:
            return False

    eventually(answers, 20, "the name server's metrics through the gateway port")


@pytest.mark.parametrize(
    "name",
    [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "containerd",
        "kubelet",
        "kube-proxy",
        "local.node.relay",
        "local.node.provisioner",
    ],
)
def test_process_comes_back_when_it_is_killed(embedded: NodeUnderTest, name: str) -> None:
    before = embedded.child(name)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _is_back(embedded, name, before), 60, f"{name} runs again")
    eventually(embedded.is_ready, 60, "the node is ready again")


def _is_back(embedded: NodeUnderTest, name: str, before: int) -> bool:
    try:
        return embedded.child(name) != before
    except AssertionError:
        return False


def test_nothing_is_left_when_a_second_node_is_killed(
    embedded: NodeUnderTest, archives: list[Path], tmp_path: Path
) -> None:
    before = host.inventory(tmp_path)
    other = NodeUnderTest(new_config(f"other-{os.getpid()}", tmp_path), embedded.tools)
    try:
        handle = other.start()
        other.furnish(handle, archives)
        other.apply(claim("other"), pod("writer", "other", WRITER))
        other.kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=60s")
        assert "other" not in embedded.kubectl("get", "pvc")  # the same addresses lead to another embedded

        os.kill(handle.pid, signal.SIGKILL)
        eventually(lambda: _traces(other, tmp_path, before) == set(), 10, "the kernel has cleared up")
        node.stop(other.config.name, other.config.state_dir)
        assert other.leftovers() == ()

        handle = other.start()
        other.kubectl("wait", "--for=condition=Ready", "pod/writer", "--timeout=60s")
        assert other.kubectl("exec", "writer", "--", "cat", "/data/log").splitlines() == ["started", "started"]
        os.kill(_parent(handle.pid), signal.SIGKILL)
        eventually(lambda: _traces(other, tmp_path, before) == set(), 10, "the kernel has cleared up again")
    finally:
        node.destroy(other.config.name, other.config.state_dir)
    assert _traces(other, tmp_path, before) == set()
    assert other.leftovers() == ()
    assert not other.config.state_dir.exists()
    assert embedded.is_ready()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _traces(embedded: NodeUnderTest, folder: Path, before: dict[str, set[str]]) -> set[str]:
    """Return what the machine has more than before, but for files and control groups, which the kernel leaves."""
    after = host.inventory(folder)
    kinds = ("processes", "mounts", "interfaces", "packet filter")
    return {f"{kind}: {item}" for kind in kinds for item in after[kind] - before[kind]} | {
        str(pid) for pid in processes.find(embedded.config.state_dir)
    }
