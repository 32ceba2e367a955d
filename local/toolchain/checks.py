"""Says before anything is changed what would be in the way, all of it at once, each with its remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from local.paths import cache_dir, instance_name, state_dir
from local.toolchain import facts, registries
from local.toolchain.catalog import CLUSTER_TOOLS, TOOLS, DebianTool, GoTool, Tool
from local.toolchain.errors import PreflightError
from local.toolchain.facts import Facts
from local.toolchain.installer import MODULES, default_cache, missing, select

_GIB: Final = 1024**3
NEEDED_MEMORY_BYTES: Final = int(7.5 * _GIB)
"""A machine sold with 8 GiB reports a little less, since the kernel keeps some for itself."""
_CACHE: Final = "MLP_CACHE_DIR"
_STATE: Final = "MLP_STATE_DIR"
_GO_BUILDS: Final = {"GOCACHE": 8 * _GIB, "GOMODCACHE": 6 * _GIB}
"""What the tools of the cluster leave there when all are built, which nobody needs afterwards."""
_TOOLS_AND_IMAGES: Final = {_CACHE: 7 * _GIB, _STATE: 7 * _GIB}
"""Tools, images and what they are made in; the images once more as the node has them, with room for data.

The node's may be hard links to files of the cache, which then hold the space instead: together it is the same."""
_DATA: Final = {_CACHE: 1 * _GIB, _STATE: 3 * _GIB}
"""Enough where tools and images are there already."""

_KERNEL_REMEDIES: Final = {
    "namespaces": "run as root on the machine itself or in a privileged container (CAP_SYS_ADMIN is missing)",
    "overlay": "load the kernel module `overlay` (modprobe overlay)",
    "network": "load the kernel modules `bridge` and `veth` (modprobe bridge veth)",
    "cgroups": "mount the control groups with their memory controller below /sys/fs/cgroup",
    "nftables": "load the kernel module `nf_tables` (modprobe nf_tables)",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is in the way."""

    what: str
    remedy: str


_NO_PORTS: Final[Mapping[str, int]] = MappingProxyType({})
_NOT_ROOT: Final = Problem("not running as root", "run it as root, for example with sudo -E")


@dataclass(frozen=True)
class Needs:
    """What the coming work asks of the machine."""

    must_install: bool
    """Whether any tool is missing."""
    debian: bool
    """Whether a Debian package is missing."""
    go_version: str | None
    """Lowest Go that can build what is missing; None if nothing has to be built."""
    go_share: float
    """How much of what is built with Go is missing: a start that was cut off has filled its part of the disk."""

    @property
    def disk_bytes(self) -> dict[str, int]:
        """Free space that the work asks for, by the variable that can move the folder."""
        builds = {name: int(size * self.go_share) for name, size in _GO_BUILDS.items()} if self.go_version else {}
        return (_TOOLS_AND_IMAGES if self.must_install else _DATA) | builds


def preflight(
    names: Iterable[str] | None = None, ports: Mapping[str, int] = _NO_PORTS, *, images_follow: bool = False
) -> None:
    """Return if the machine can do what is coming.

    Args:
        names: tools that will be asked for; all if None.
        ports: ports of 127.0.0.1 that must be free, each by the name of the variable that can change it.
        images_follow: images will be made with the tools: where one is missing, ask their registries too.

    Raises:
        PreflightError: it cannot; the message names every problem with its remedy.
    """
    lacking = missing(select(names), default_cache())
    found = gather(lacking, list(ports.values()), images_follow=images_follow)
    problems = find_problems(found, needs_of(lacking, MODULES), ports)
    if problems:
        lines = [f"  - {problem.what}\n    remedy: {problem.remedy}" for problem in problems]
        raise PreflightError("\n".join(["this machine is not ready; nothing has been changed:", *lines]))


def require_root() -> None:
    """Return if this is root, without whom nothing works.

    Raises:
        PreflightError: it is not.
    """
    if os.geteuid() != 0:
        raise PreflightError(f"{_NOT_ROOT.what}\n    remedy: {_NOT_ROOT.remedy}")


def needs_of(lacking: Sequence[Tool], modules: Path) -> Needs:
    """Return what installing the missing tools asks for."""
    go_tools = [tool for tool in lacking if isinstance(tool, GoTool)]
    versions = [_go_directive((modules / tool.folder / "go.mod").read_text()) for tool in go_tools]
    of_the_cluster = sum(isinstance(TOOLS[name], GoTool) for name in CLUSTER_TOOLS)
    return Needs(
        must_install=bool(lacking),
        debian=any(isinstance(tool, DebianTool) for tool in lacking),
        go_version=max(versions, key=_parts, default=None),
        go_share=min(1.0, len(go_tools) / of_the_cluster),
    )


def gather(lacking: Sequence[Tool], ports: Sequence[int], *, images_follow: bool = False) -> Facts:
    """Return what has to be known about the machine; registries are asked only if something must come from them."""
    is_root = os.geteuid() == 0
    version, may_download = facts.go_version()
    go_tools = [tool for tool in lacking if isinstance(tool, GoTool)] if version else []
    folders = {_CACHE: cache_dir(), _STATE: state_dir(instance_name())} | (facts.go_folders() if go_tools else {})
    images = images_follow and bool(lacking)
    debian = images or any(isinstance(tool, DebianTool) for tool in lacking)
    return Facts(
        is_root=is_root,
        has_apt=Path("/usr/bin/apt-get").exists(),
        go_version=version,
        go_may_download_itself=may_download,
        memory_bytes=facts.memory_bytes(Path("/proc/meminfo").read_text()),
        folders={variable: facts.folder(path) for variable, path in folders.items()},
        taken_ports=facts.taken_ports(ports),
        missing_kernel_features=facts.missing_kernel_features() if is_root else (),
        unreachable_registries=registries.unreachable(go_tools, MODULES, debian=is_root and debian, python=images),
    )


def find_problems(found: Facts, needs: Needs, ports: Mapping[str, int] = _NO_PORTS) -> list[Problem]:
    """Return everything that is in the way. Pure."""
    problems = [*_rights(found, needs), *_go(found, needs), *_space(found, needs)]
    problems += [
        Problem(
            f"port {port} of 127.0.0.1 is taken", f"end what listens there (`ss -ltnp`), or name another in {variable}"
        )
        for variable, port in ports.items()
        if port in found.taken_ports
    ]
    problems += [
        Problem(f"the kernel feature `{name}` is missing", _KERNEL_REMEDIES[name])
        for name in found.missing_kernel_features
    ]
    problems += [
        Problem(registries.problem(name, complaint), registries.REMEDIES[name])
        for name, complaint in found.unreachable_registries.items()
    ]
    return problems


def _rights(found: Facts, needs: Needs) -> Iterator[Problem]:
    if not found.is_root:
        yield _NOT_ROOT
    if needs.debian and not found.has_apt:
        yield Problem("there is no apt-get", "use Debian 12 or a relative of it")


def _go(found: Facts, needs: Needs) -> Iterator[Problem]:
    if needs.go_version is None:
        return
    remedy = f"install Go {needs.go_version} or newer and put its bin folder on PATH"
    if found.go_version is None:
        yield Problem("there is no Go on PATH", remedy)
    # From 1.21 on, Go fetches the version that a module asks for, unless that is switched off.
    elif _parts(found.go_version) < _parts("1.21" if found.go_may_download_itself else needs.go_version):
        yield Problem(f"Go {found.go_version} is too old", remedy)


def _space(found: Facts, needs: Needs) -> Iterator[Problem]:
    if found.memory_bytes < NEEDED_MEMORY_BYTES:
        yield Problem(
            f"{found.memory_bytes / _GIB:.1f} GiB of memory are too little", "use a machine with 8 GiB or more"
        )
    needed = {name: size for name, size in needs.disk_bytes.items() if name in found.folders}
    for device in dict.fromkeys(folder.device for folder in found.folders.values()):
        here = {name: size for name, size in needed.items() if found.folders[name].device == device}
        free = min(folder.free_bytes for folder in found.folders.values() if folder.device == device)
        if free < sum(here.values()):
            shares = (f"{found.folders[name].path} needs {size / _GIB:.0f} GiB" for name, size in here.items())
            yield Problem(
                f"{free / _GIB:.1f} GiB free are too little where {', '.join(shares)}",
                f"make {sum(here.values()) / _GIB:.0f} GiB free there, or point {' or '.join(here)} to another disk",
            )


def _go_directive(go_mod: str) -> str:
    match = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    return match.group(1) if match else "0"


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
