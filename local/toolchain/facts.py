"""What the preflight has to know about this machine. Gathering only; checks.py judges."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.toolchain import gobuild

GO_CACHES: Final = ("GOCACHE", "GOMODCACHE")
_PROBE_SECONDS: Final = 20

_KERNEL_PROBE: Final = """
mount -t tmpfs tmpfs /run && mkdir /run/upper /run/work || echo namespaces
mount -t overlay overlay -o lowerdir=/usr,upperdir=/run/upper,workdir=/run/work /usr || echo overlay
if command -v ip > /dev/null; then
  ip link add bridge0 type bridge && ip link add veth0 type veth peer name veth1 || echo network
fi
"""
"""Run in namespaces of its own; prints what does not work."""

_NFNL_SUBSYS_NFTABLES: Final = 10
_NFT_MSG_GETGEN: Final = 16
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2


@dataclass(frozen=True)
class Folder:
    """A folder that will be written to, and the file system it is on."""

    path: Path
    device: int
    """Number of the file system."""
    free_bytes: int


@dataclass(frozen=True)
class Facts:
    """The machine as it is now."""

    is_root: bool
    has_apt: bool
    go_version: str | None
    """For example `1.26.8`; None if there is no Go."""
    go_may_download_itself: bool
    """Whether Go fetches a newer Go when a module asks for one."""
    memory_bytes: int
    folders: Mapping[str, Folder]
    """Folders that will be written to, by the variable that can move each."""
    taken_ports: tuple[int, ...]
    missing_kernel_features: tuple[str, ...]
    """Of: namespaces, overlay, network, cgroups, nftables."""
    unreachable_registries: Mapping[str, str]
    """Of: Go modules, Debian packages, Python packages; each with what its client says, if it says anything."""


def go_version() -> tuple[str | None, bool]:
    """Return Go's version and whether it may download a newer one; (None, False) if there is none on PATH."""
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION", "GOTOOLCHAIN"],
            capture_output=True,
            text=True,
            check=False,
            env=gobuild.environment(),
        )
    except FileNotFoundError:
        return None, False
    match = re.match(r"go(\d+(?:\.\d+)*)\S*\n(\S*)", done.stdout)
    return (match.group(1), match.group(2) != "local") if match else (None, False)


def memory_bytes(meminfo: str) -> int:
    """Return the machine's memory, given the text of /proc/meminfo."""
    match = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def folder(path: Path) -> Folder:
    """Return what is to be known about a folder that need not exist yet."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return Folder(path, existing.stat().st_dev, shutil.disk_usage(existing).free)


def go_folders() -> dict[str, Path]:
    """Return where Go keeps what it has compiled and fetched, by the variables that say so; nothing if it is not told.

    A cache that is switched off is left out.
    """
    try:
        done = subprocess.run(
            ["go", "env", *GO_CACHES], capture_output=True, text=True, check=False, env=gobuild.environment()
        )
    except FileNotFoundError:
        return {}
    found = zip(GO_CACHES, done.stdout.splitlines(), strict=False)
    return {variable: Path(text) for variable, text in found if Path(text).is_absolute()}


def taken_ports(ports: Iterable[int]) -> tuple[int, ...]:
    """Return those ports of 127.0.0.1 on which nobody else can listen."""
    taken: list[int] = []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(port)
    return tuple(taken)


def missing_kernel_features(cgroups: Path = Path("/sys/fs/cgroup")) -> tuple[str, ...]:
    """Return what the kernel lacks, found out by using it. As root only: others may use none of it."""
    missing = _missing_in_namespaces()
    version_2, version_1 = cgroups / "cgroup.controllers", cgroups / "memory" / "cgroup.procs"
    if not (version_1.exists() or (version_2.exists() and "memory" in version_2.read_text().split())):
        missing.append("cgroups")
    if not _has_nftables():
        missing.append("nftables")
    return tuple(missing)


def _missing_in_namespaces() -> list[str]:
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private"]
    try:
        done = subprocess.run(
            [*command, "sh", "-c", _KERNEL_PROBE],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ["namespaces"]
    if "namespaces" in done.stdout or (done.returncode != 0 and not done.stdout):
        return ["namespaces"]
    return done.stdout.split()


def _has_nftables() -> bool:
    """Ask the kernel for the generation of its nftables rules, which every kernel with nftables can tell."""
    header = struct.Struct("=IHHII")
    kind = _NFNL_SUBSYS_NFTABLES << 8 | _NFT_MSG_GETGEN
    payload = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    message = header.pack(header.size + len(payload), kind, _NLM_F_REQUEST, 1, 0) + payload
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:  # NETLINK_NETFILTER
            netfilter.settimeout(_PROBE_SECONDS)
            netfilter.send(message)
            answer = netfilter.recv(4096)
    except OSError:
        return False
    return header.unpack_from(answer)[1] != _NLMSG_ERROR
