"""The node's processes: command line of each, and what must answer before it is started. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final, Literal

from local.node.config import (
    API_PORT,
    ETCD_PORT,
    GATEWAY_SERVICE_ADDRESS,
    GATEWAY_SERVICE_PORT,
    NODE_ADDRESS,
    SERVICE_NETWORK,
    NodeConfig,
)
from local.node.layout import CONTAINERD_SOCKET, INSIDE, Layout

Need = Literal["etcd", "containerd", "api"]
"""Something that must answer first: etcd's port, containerd's socket, the API server's /readyz."""

NODE_TOOLS: Final = (
    "etcd",
    "kubernetes",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "nftables",
    "iproute2",
)
"""Names of the tools, as the toolchain knows them, that a node by itself needs."""

NEEDED_BINARIES: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubeadm",
    "kubectl",
    "containerd",
    "ctr",
    "runc",
    "nft",
)


@dataclass(frozen=True)
class Service:
    """One process that the supervisor keeps running."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    file_descriptors: tuple[int, ...] = ()
    """Descriptors the process inherits besides standard output and error."""


def node_services(config: NodeConfig, api_socket: int, gateway_socket: int) -> tuple[Service, ...]:
    """Return every process of the node in the order in which they are first started.

    Args:
        config: the node, with its binaries.
        api_socket: descriptor of the listening socket on the host for the API server.
        gateway_socket: the same for the ingress gateway.
    """
    return (
        _relay(api_socket, gateway_socket),
        _etcd(config),
        Service(
            "containerd",
            (config.binaries["containerd"], "--config", str(Layout(INSIDE).settings / "containerd.toml")),
        ),
        _api_server(config),
        _controller_manager(config),
        _scheduler(config),
        _kubelet(config),
        Service(
            "kube-proxy",
            (config.binaries["kube-proxy"], "--config", str(Layout(INSIDE).settings / "kube-proxy.yaml")),
            needs=("api",),
        ),
        Service(
            "provisioner",
            (
                sys.executable,
                "-m",
                "local.node.provisioner",
                "--kubeconfig",
                str(Layout(INSIDE).kubeconfigs / "provisioner.conf"),
                "--volumes",
                str(Layout(INSIDE).volumes),
                "--node-name",
                config.node_name,
            ),
            needs=("api",),
        ),
    )


def _relay(api_socket: int, gateway_socket: int) -> Service:
    return Service(
        "relay",
        (
            sys.executable,
            "-m",
            "local.node.relay",
            f"{api_socket}={NODE_ADDRESS}:{API_PORT}",
            f"{gateway_socket}={GATEWAY_SERVICE_ADDRESS}:{GATEWAY_SERVICE_PORT}",
        ),
        file_descriptors=(api_socket, gateway_socket),
    )


def _etcd(config: NodeConfig) -> Service:
    pki = Layout(INSIDE).pki / "etcd"
    url = f"https://127.0.0.1:{ETCD_PORT}"
    peer_url = f"https://127.0.0.1:{ETCD_PORT + 1}"
    return Service(
        "etcd",
        (
            config.binaries["etcd"],
            f"--name={config.node_name}",
            f"--data-dir={Layout(INSIDE).etcd}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster={config.node_name}={peer_url}",
            f"--cert-file={pki / 'server.crt'}",
            f"--key-file={pki / 'server.key'}",
            "--client-cert-auth",
            f"--trusted-ca-file={pki / 'ca.crt'}",
            f"--peer-cert-file={pki / 'peer.crt'}",
            f"--peer-key-file={pki / 'peer.key'}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={pki / 'ca.crt'}",
            "--snapshot-count=10000",
            "--auto-compaction-retention=1",
            "--log-level=warn",
        ),
    )


def _api_server(config: NodeConfig) -> Service:
    pki = Layout(INSIDE).pki
    return Service(
        "kube-apiserver",
        (
            config.binaries["kube-apiserver"],
            f"--advertise-address={NODE_ADDRESS}",
            f"--secure-port={API_PORT}",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--etcd-servers=https://127.0.0.1:{ETCD_PORT}",
            f"--etcd-cafile={pki / 'etcd' / 'ca.crt'}",
            f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
            f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--profiling=false",
        ),
        needs=("etcd",),
    )


def _controller_manager(config: NodeConfig) -> Service:
    pki = Layout(INSIDE).pki
    kubeconfig = Layout(INSIDE).kubeconfigs / "controller-manager.conf"
    return Service(
        "kube-controller-manager",
        (
            config.binaries["kube-controller-manager"],
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            "--use-service-account-credentials=true",
            "--bind-address=127.0.0.1",
            # Exactly one runs, by construction; waiting for a lease would only slow down a restart.
            "--leader-elect=false",
            "--profiling=false",
        ),
        needs=("api",),
    )


def _scheduler(config: NodeConfig) -> Service:
    kubeconfig = Layout(INSIDE).kubeconfigs / "scheduler.conf"
    return Service(
        "kube-scheduler",
        (
            config.binaries["kube-scheduler"],
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ),
        needs=("api",),
    )


def _kubelet(config: NodeConfig) -> Service:
    inside = Layout(INSIDE)
    return Service(
        "kubelet",
        (
            config.binaries["kubelet"],
            f"--config={inside.settings / 'kubelet.yaml'}",
            f"--kubeconfig={inside.kubeconfigs / 'kubelet.conf'}",
            f"--root-dir={inside.kubelet}",
            f"--cert-dir={inside.kubelet / 'pki'}",
            f"--hostname-override={config.node_name}",
            f"--node-ip={NODE_ADDRESS}",
        ),
        needs=("containerd", "api"),
    )


def container_tool(config: NodeConfig) -> tuple[str, ...]:
    """Return the beginning of a `ctr` command line that acts on the images and containers Kubernetes sees."""
    return (config.binaries["ctr"], "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")
