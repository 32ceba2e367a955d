"""What the node's first process does inside its fresh namespaces before anything else runs: mounts and network.

Everything here vanishes with the namespaces, whatever way the node ends.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from local.node.config import NODE_NETWORK, SERVICE_NETWORK
from local.node.layout import INSIDE, RUNTIME
from local.node.settings import KERNEL_SETTINGS

BRIDGE: Final = "node0"
_HARD_WIRED: Final = ("/var/lib", "/var/log")
"""Folders below which some processes write to fixed paths (CNI results, device plugin sockets, log links)."""


def unshare_command() -> tuple[str, ...]:
    """Return the command that gives its argument namespaces of its own and dies together with it."""
    return (
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    )


def enter_command(pid: int) -> tuple[str, ...]:
    """Return the command that runs its argument inside the namespaces of process `pid`."""
    return ("nsenter", "--target", str(pid), "--net", "--mount", "--pid", "--")


def prepare(state_dir: Path) -> None:
    """Set up mounts and network of the namespaces the caller is in.

    Raises:
        subprocess.CalledProcessError: a mount or network command failed.
    """
    if os.getpid() != 1:
        raise RuntimeError("refused: not the first process of a PID namespace; this would change the host's mounts")
    _mount_private_folders(state_dir)
    _pin_kernel_settings()
    _set_up_network()


def _mount_private_folders(state_dir: Path) -> None:
    # Held open, because the new /run or the overlays may hide the path.
    descriptor = os.open(state_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        _mount("-t", "tmpfs", "-o", "mode=0755", "mlplatform", "/run")
        INSIDE.mkdir()
        RUNTIME.mkdir()
        _mount("--bind", f"/proc/{os.getpid()}/fd/{descriptor}", str(INSIDE), pass_fds=(descriptor,))
    finally:
        os.close(descriptor)
    for folder in _HARD_WIRED:
        upper = RUNTIME / "overlay" / folder.strip("/").replace("/", "-") / "upper"
        work = upper.with_name("work")
        upper.mkdir(parents=True)
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", "overlay", folder)


def _pin_kernel_settings() -> None:
    """Show the kubelet the kernel settings it wants, so that it does not change them for the whole machine."""
    folder = RUNTIME / "kernel"
    folder.mkdir()
    for name, value in KERNEL_SETTINGS.items():
        shown = folder / name.replace("/", "-")
        shown.write_text(f"{value}\n")
        _mount("--bind", str(shown), f"/proc/sys/{name}")


def _set_up_network() -> None:
    """Give the node an address (on a bridge: not every kernel has dummy interfaces) and a way to Services."""
    commands = (
        "link set lo up",
        f"link add {BRIDGE} type bridge",
        f"address add {NODE_NETWORK} dev {BRIDGE}",
        f"link set {BRIDGE} up",
        # Never used as it stands: kube-proxy rewrites the destination, but without a route nothing is sent at all.
        f"route add {SERVICE_NETWORK} dev {BRIDGE}",
    )
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _mount(*arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
    subprocess.run(["mount", *arguments], check=True, pass_fds=pass_fds)
