"""A real Kubernetes API without nodes: etcd, API server and controllers as plain processes on loopback.

There is no kubelet, so pods stay as they were made until a test writes their status; every controller above them
(Deployments, ReplicaSets, Jobs, garbage collection, namespaces, endpoints) is the real one.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.provider import kubeconfig
from local.provider.kubeclient import ApiError, ClusterUnreachableError, KubeClient
from local.provider.session import MARKER_NAME, MARKER_NAMESPACE
from local.provider.values import Object
from local.toolchain import Toolchain

_READY_SECONDS = 120.0
_STOP_SECONDS = 10.0
_PORTS = range(20_000, 30_000)
"""Below those that the kernel gives to whoever asks for any port or connects, and Kubernetes to services outside."""


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane."""

    kubeconfig: Path
    client: KubeClient
    _kubectl: Path

    @property
    def tools(self) -> Path:
        """Folder of `kubectl`."""
        return self._kubectl.parent

    def get(self, path: str) -> Object:
        """Return the object at a path of the API."""
        return self.client.get(path)

    def kubectl(self, *arguments: str) -> str:
        """Act as somebody else than the provider; return what was printed."""
        command = [str(self._kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def patch(self, namespace: str, target: str, patch: Object, *, status: bool = False) -> None:
        """Merge a patch into an object (`KIND/NAME`) or its status, as another field manager."""
        part = ["--subresource=status"] if status else []
        self.kubectl("-n", namespace, "patch", target, "--type=merge", "-p", json.dumps(patch), *part)

    def mark(self, instance: str) -> None:
        """Write the marker by which an embedded cluster is recognised."""
        marker = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARKER_NAME, "namespace": MARKER_NAMESPACE},
            "data": {"instance": instance},
        }
        self.client.apply(f"/api/v1/namespaces/{MARKER_NAMESPACE}/configmaps/{MARKER_NAME}", marker)


@contextmanager
def control_plane(folder: Path, toolchain: Toolchain) -> Generator[ControlPlane]:
    """Start a control plane that keeps everything in `folder`, and stop it at the end."""
    held = _hold_ports(3)
    api_port, etcd_port, peer_port = (int(it.getsockname()[1]) for it in held)
    try:
        pki = _certificates(folder, toolchain, api_port)
    finally:
        # Only now, because certificates take seconds in which somebody else might have taken the ports.
        for it in held:
            it.close()
    commands = {
        "etcd": _etcd(folder, toolchain, etcd_port, peer_port),
        "kube-apiserver": _apiserver(pki, toolchain, api_port, etcd_port),
        "kube-controller-manager": _controller_manager(folder, pki, toolchain),
    }
    processes: list[subprocess.Popen[bytes]] = []
    admin = folder / "super-admin.conf"
    client = KubeClient(kubeconfig.load(str(admin)))
    try:
        for name, command in commands.items():
            if name == "kube-controller-manager":
                # It gives up on an API server that is not healthy within seconds, which a loaded machine's is not.
                _await(lambda: client.text("/readyz", {}) == "ok", folder)
            with (folder / f"{name}.log").open("wb") as log:
                # Killed tests leave none of them behind either.
                bound = ["setpriv", "--pdeathsig=KILL", *command]
                processes.append(subprocess.Popen(bound, stdout=log, stderr=log, cwd=folder))
        _await(lambda: client.find("/api/v1/namespaces/default/serviceaccounts/default") is not None, folder)
        yield ControlPlane(admin, client, toolchain.bin("kubectl"))
        client.close()
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGKILL)
            process.wait(_STOP_SECONDS)


def _certificates(folder: Path, toolchain: Toolchain, api_port: int) -> Path:
    pki = folder / "pki"
    config = folder / "kubeadm.yaml"
    config.write_text(
        f"""apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 192.0.2.1}}
nodeRegistration: {{name: none}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer: {{certSANs: [127.0.0.1]}}
certificatesDir: {pki}
controlPlaneEndpoint: 127.0.0.1:{api_port}
kubernetesVersion: v1.35.0
networking: {{serviceSubnet: 10.96.0.0/16}}
encryptionAlgorithm: ECDSA-P256
""",
        encoding="utf-8",
    )
    phases = [
        ["certs", "ca"],
        ["certs", "apiserver"],
        ["certs", "sa"],
        ["kubeconfig", "super-admin", "--kubeconfig-dir", str(folder)],
    ]
    for phase in phases:
        command = [str(toolchain.bin("kubeadm")), "init", "phase", *phase, "--config", str(config)]
        subprocess.run(command, check=True, capture_output=True)
    return pki


def _etcd(folder: Path, toolchain: Toolchain, port: int, peer_port: int) -> Sequence[str]:
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        str(toolchain.bin("etcd")),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
    ]


def _apiserver(pki: Path, toolchain: Toolchain, port: int, etcd_port: int) -> Sequence[str]:
    return [
        str(toolchain.bin("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
    ]


def _controller_manager(folder: Path, pki: Path, toolchain: Toolchain) -> Sequence[str]:
    return [
        str(toolchain.bin("kube-controller-manager")),
        f"--kubeconfig={folder / 'super-admin.conf'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def _hold_ports(count: int) -> list[socket.socket]:
    """Listen on so many ports that nobody else uses, which are free again once they are closed."""
    held: list[socket.socket] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        try:
            held.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        if len(held) == count:
            return held
    raise OSError(f"there are no {count} free ports in {_PORTS}")


def _await(condition: Callable[[], bool], folder: Path) -> None:
    """Wait until the API serves, or until the controllers have made the default service account."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (ApiError, ClusterUnreachableError):
            pass
        time.sleep(0.2)
    logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-1500:]}" for log in folder.glob("*.log"))
    raise TimeoutError(f"no control plane after {_READY_SECONDS:.0f} s\n{logs}")
