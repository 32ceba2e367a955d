from __future__ import annotations

from pathlib import Path

import pytest

from local.node.config import NodeConfig
from local.node.layout import INSIDE
from local.node.services import NEEDED_BINARIES, Service, container_tool, node_services

CONFIG = NodeConfig(
    name="local",
    state_dir=Path("/srv/state/node"),
    pause_image="localhost/pause:1",
    binaries={name: f"/tools/{name}" for name in NEEDED_BINARIES},
)
SERVICES = {service.name: service for service in node_services(CONFIG, 7, 8)}


def _flag(service: Service, name: str) -> str:
    (value,) = [word.partition("=")[2] for word in service.argv if word.startswith(f"--{name}=")]
    return value


def test_every_process_is_there_once() -> None:
    assert len(SERVICES) == len(node_services(CONFIG, 7, 8))
    assert set(SERVICES) == {
        "relay",
        "etcd",
        "containerd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "provisioner",
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_paths_are_the_nodes_own_view_when_a_process_starts(name: str) -> None:
    assert not any("/srv/state" in word for word in SERVICES[name].argv)


def test_only_the_relay_inherits_the_listening_sockets() -> None:
    assert SERVICES["relay"].file_descriptors == (7, 8)
    assert [word for word in SERVICES["relay"].argv if "=" in word] == ["7=10.240.0.1:6443", "8=10.96.0.80:80"]
    assert all(not service.file_descriptors for name, service in SERVICES.items() if name != "relay")


def test_nothing_waits_for_what_waits_for_it() -> None:
    providers = {"etcd": "etcd", "containerd": "containerd", "api": "kube-apiserver"}
    order = list(SERVICES)
    for name, service in SERVICES.items():
        for need in service.needs:
            assert order.index(providers[need]) < order.index(name)


def test_kubelet_is_verified_when_the_api_server_calls_it() -> None:
    authority = _flag(SERVICES["kube-apiserver"], "kubelet-certificate-authority")
    assert authority == str(INSIDE / "pki" / "ca.crt")


def test_objects_survive_a_power_cut_when_etcd_writes_them() -> None:
    assert not any("unsafe" in word for word in SERVICES["etcd"].argv)


def test_container_tool_acts_on_what_kubernetes_sees() -> None:
    assert container_tool(CONFIG) == (
        "/tools/ctr",
        "--address",
        "/run/mlplatform-runtime/containerd.sock",
        "--namespace",
        "k8s.io",
    )
