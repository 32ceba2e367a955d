"""Starts, stops and removes a node. Each function may be called again at any time, whatever the last call left."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from local.locking import locked
from local.node import cgroups, isolation, pki, processes, settings
from local.node.config import HOST_ADDRESS, NodeConfig, cgroup_of
from local.node.errors import NodeError
from local.node.handle import NodeHandle
from local.node.layout import Layout
from local.node.readiness import is_ready, wait_until_ready
from local.node.services import NEEDED_BINARIES
from local.paths import repo_root
from local.progress import Progress, heartbeat

KUBERNETES_VERSION: Final = "v1.35.0"
CNI_PLUGINS: Final = ("ptp", "host-local", "loopback")
STOP_SECONDS: Final = 25.0
_CAP_SYS_RESOURCE: Final = 24


def silent(_message: str, /) -> None:
    """Take a line of progress and show nothing."""


class Binaries(Protocol):
    """The part of a toolchain that a node needs."""

    def bin(self, name: str) -> Path:
        """Return the file of one binary."""
        ...


@dataclass(frozen=True)
class NodeStatus:
    """What can be said about a node from outside."""

    running: bool
    ready: bool
    """The node object reports Ready."""
    pid: int | None
    leftovers: tuple[str, ...]
    """Control groups that a killed node left; `stop` removes them."""


def start(config: NodeConfig, toolchain: Binaries, progress: Progress) -> NodeHandle:
    """Start the node, or find it running, and return once it is ready. Data of an earlier run are taken up again.

    A running node whose configuration or binaries differ is restarted.

    Raises:
        NodeError: a port is taken, or the node did not become ready in time.
    """
    config = replace(config, state_dir=config.state_dir.resolve(), binaries=_binaries(toolchain))
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(Layout(config.state_dir).lock):
        if is_running(config.state_dir) and _running_config(config.state_dir) != config:
            progress("restarting the node with its new configuration")
            _stop(config.name, config.state_dir)
        if not is_running(config.state_dir):
            _launch(config, progress)
        with heartbeat(progress, "waiting until the node is ready"):
            return NodeHandle(config, wait_until_ready(config))


def stop(name: str, state_dir: Path, progress: Progress = silent) -> None:
    """End the node: processes, mounts, network and control groups go, data stay. Also clears up after a killed one.

    Raises:
        TimeoutError, OSError: something of it could not be ended or removed.
    """
    state_dir = state_dir.resolve()
    with contextlib.ExitStack() as stack:
        if state_dir.is_dir():
            stack.enter_context(locked(Layout(state_dir).lock))
        if is_running(state_dir):
            progress(f"stopping the node of `{name}`")
        _stop(name, state_dir)


def destroy(name: str, state_dir: Path, progress: Progress = silent) -> None:
    """End the node and remove its data.

    Raises:
        TimeoutError, OSError: something of it could not be ended or removed.
    """
    stop(name, state_dir, progress)
    if state_dir.exists():
        progress(f"removing the data of the node of `{name}`")
        shutil.rmtree(state_dir)


def is_running(state_dir: Path) -> bool:
    """Return whether a node runs with this state folder, ready or not."""
    return processes.find_first(state_dir.resolve()) is not None


def status(name: str, state_dir: Path) -> NodeStatus:
    """Return what a node is doing; an absent or broken one is no error."""
    state_dir = state_dir.resolve()
    pid = processes.find_first(state_dir)
    if pid is None:
        leftovers = tuple(str(path) for path in cgroups.remaining(cgroup_of(name, state_dir)))
        return NodeStatus(False, False, None, leftovers)
    config = _running_config(state_dir)
    return NodeStatus(True, config is not None and is_ready(config, pid), pid, ())


def attach(state_dir: Path) -> NodeHandle:
    """Return a handle to the node that runs with this state folder.

    Raises:
        NodeError: none runs.
    """
    state_dir = state_dir.resolve()
    pid = processes.find_first(state_dir)
    config = _running_config(state_dir)
    if pid is None or config is None:
        raise NodeError(f"no node runs with the state folder {state_dir}")
    return NodeHandle(config, pid)


def _binaries(toolchain: Binaries) -> dict[str, str]:
    return {name: str(toolchain.bin(name)) for name in (*NEEDED_BINARIES, *CNI_PLUGINS)}


def _running_config(state_dir: Path) -> NodeConfig | None:
    """Return the configuration with which the node was started, or None if it was lost."""
    try:
        return NodeConfig.from_json(Layout(state_dir).spec.read_text())
    except (OSError, ValueError):
        return None


def _stop(name: str, state_dir: Path) -> None:
    processes.end(state_dir, STOP_SECONDS)
    cgroups.remove(cgroup_of(name, state_dir))


def _launch(config: NodeConfig, progress: Progress) -> None:
    layout = Layout(config.state_dir)
    with _listen("api_port", config.api_port) as api, _listen("gateway_port", config.gateway_port) as gateway:
        _stop(config.name, config.state_dir)  # what a killed node may have left
        for folder in layout.folders():
            folder.mkdir(exist_ok=True, mode=0o711)
        progress("writing the node's certificates and settings")
        pki.ensure(config, KUBERNETES_VERSION)
        for name, text in _settings_files(config).items():
            (layout.settings / name).parent.mkdir(exist_ok=True)
            (layout.settings / name).write_text(text)
        layout.spec.write_text(config.to_json())
        try:
            cgroups.create(config.cgroup)
        except OSError as error:
            raise NodeError(
                f"cannot make control groups for the node: {error}; "
                f"the root of {cgroups.CGROUP_FILE_SYSTEM} must be writable and, in version 2, hold no process itself"
            ) from error
        progress("starting the node's processes")
        _spawn(config, api, gateway)


def _settings_files(config: NodeConfig) -> Mapping[str, str]:
    plugins = str(Path(config.binaries["ptp"]).parent)
    return {
        "containerd.toml": settings.containerd_toml(config, plugins, _has_capability(_CAP_SYS_RESOURCE)),
        "cni/pods.conflist": settings.cni_conflist(),
        "kubelet.yaml": settings.kubelet_yaml(config),
        "kube-proxy.yaml": settings.kube_proxy_yaml(config),
        # The node has no way to the outside, so there is no name server that pods could inherit.
        "resolv.conf": "",
    }


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _listen(field: str, port: int) -> socket.socket:
    """Return a listening socket on the host's loopback address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST_ADDRESS, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise NodeError(
            f"{field}={port}: cannot listen on {HOST_ADDRESS}:{port} ({error.strerror}); "
            "end what listens there (`ss -ltnp`) or choose another port"
        ) from error
    return listener


def _spawn(config: NodeConfig, api: socket.socket, gateway: socket.socket) -> None:
    """Start the supervisor in control groups and namespaces of its own, detached from this process and its terminal."""
    descriptors = (api.fileno(), gateway.fileno())
    command = processes.supervisor_command(sys.executable, config.state_dir, descriptors)
    folders = [str(Path(config.binaries[name]).parent) for name in ("runc", "containerd", "nft")]
    environment = {
        "PATH": os.pathsep.join([*dict.fromkeys(folders), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "PYTHONPATH": str(repo_root()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    log_path = Layout(config.state_dir).logs / "supervisor.log"
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".log.1"))
    with log_path.open("a") as log:
        subprocess.run(
            ["setsid", "--fork", *cgroups.join_command(config.cgroup), *isolation.unshare_command(), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            env=environment,
            cwd="/",
            check=True,
        )
