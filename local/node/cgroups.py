"""The node's own branch in every control group hierarchy: made before it starts, removed after it has gone.

Works on version 1 (one folder per controller below /sys/fs/cgroup, where `unified` may be one of them) and on version 2
(one hierarchy at /sys/fs/cgroup itself).
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Final

CGROUP_FILE_SYSTEM: Final = Path("/sys/fs/cgroup")
SYSTEM_GROUP: Final = "system"
"""Child group of the node's own processes; pods are in its sibling, which the kubelet makes."""
_VERSION_2_CONTROLLERS: Final = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
"""The kubelet refuses a cgroupRoot that lacks one of these which the machine has (io is for the containers)."""
_REMOVAL_SECONDS: Final = 10.0
_JOIN: Final = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit; shift; done; shift; exec "$@"'
"""Script of the shell; 0 stands for the process that writes it."""


def is_version_2(mount_point: Path = CGROUP_FILE_SYSTEM) -> bool:
    """Return whether the machine has the one unified hierarchy (only that has this file at its top)."""
    return (mount_point / "cgroup.controllers").is_file()


def hierarchies(mount_point: Path = CGROUP_FILE_SYSTEM) -> list[Path]:
    """Return the top folder of each hierarchy, without links such as `cpu -> cpu,cpuacct`."""
    if is_version_2(mount_point):
        return [mount_point]
    if not mount_point.is_dir():
        return []
    return sorted(
        path
        for path in mount_point.iterdir()
        if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").is_file()
    )


def create(cgroup: str, mount_point: Path = CGROUP_FILE_SYSTEM) -> None:
    """Make the branch `cgroup` and its system group in each hierarchy; what exists already is kept.

    Raises:
        OSError: there is no hierarchy, it cannot be written, or version 2 controllers cannot be handed down.
    """
    tops = hierarchies(mount_point)
    if not tops:  # nobody would find the node's processes
        raise FileNotFoundError(errno.ENOENT, "no control groups are mounted", str(mount_point))
    for top in tops:
        branch = top / cgroup.lstrip("/")
        if is_version_2(mount_point):
            _hand_down_controllers(top)
        for group in (branch, branch / SYSTEM_GROUP):
            group.mkdir(exist_ok=True)
            _inherit_cpuset(group)
        if is_version_2(mount_point):
            _hand_down_controllers(branch)


def join_command(cgroup: str, mount_point: Path = CGROUP_FILE_SYSTEM) -> tuple[str, ...]:
    """Return the command that moves itself into the branch's system group, in each hierarchy, and becomes its argument.

    So a process is in its group before anything of it runs, and so are all that come of it.
    """
    files = [str(_members_file(top / cgroup.lstrip("/"))) for top in hierarchies(mount_point)]
    return ("sh", "-c", _JOIN, "join", *files, "--")


def members(pattern: str, mount_point: Path = CGROUP_FILE_SYSTEM) -> set[int]:
    """Return the processes that are in the system group of a branch in each hierarchy that has the branch.

    Nobody but root can bring a process there, or make a branch. A hierarchy that somebody mounts after the branch was
    made does not have it. The groups' own files say it in process ids as the caller sees them, wherever the hierarchies
    are mounted; /proc/PID/cgroup would not.

    Args:
        pattern: name of the branch, or a pattern that only its name fits.
        mount_point: where the hierarchies are.
    """
    found: set[int] | None = None
    for top in hierarchies(mount_point):
        branches = list(top.glob(pattern.lstrip("/")))
        if branches:
            here = {int(pid) for branch in branches for pid in _read(_members_file(branch)).split()}
            found = here if found is None else found & here
    return found or set()


def remaining(cgroup: str, mount_point: Path = CGROUP_FILE_SYSTEM) -> list[Path]:
    """Return the branch's folders that still exist, children before parents."""
    found: list[Path] = []
    for top in hierarchies(mount_point):
        branch = top / cgroup.lstrip("/")
        if branch.is_dir():
            found += [path for path in branch.rglob("*") if path.is_dir()] + [branch]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def remove(cgroup: str, mount_point: Path = CGROUP_FILE_SYSTEM, patience_seconds: float = _REMOVAL_SECONDS) -> None:
    """Remove the branch from each hierarchy.

    Processes that were just killed leave their group a moment later, so a busy group is tried again for a while.

    Raises:
        OSError: a group still has processes after `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        busy: OSError | None = None
        for folder in remaining(cgroup, mount_point):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                busy = error
        if busy is None:
            return
        if time.monotonic() > deadline:
            raise busy
        time.sleep(0.05)


def _members_file(branch: Path) -> Path:
    return branch / SYSTEM_GROUP / "cgroup.procs"


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the group was removed meanwhile
        return ""


def _hand_down_controllers(folder: Path) -> None:
    """Let children of a version 2 group use each controller that the group has and does not hand down yet."""
    available = (folder / "cgroup.controllers").read_text().split()
    enabled = (folder / "cgroup.subtree_control").read_text().split()
    wanted = [name for name in _VERSION_2_CONTROLLERS if name in available and name not in enabled]
    if wanted:
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def _inherit_cpuset(group: Path) -> None:
    """Copy processors and memory nodes from the parent; a version 1 cpuset without them accepts no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = group / name
        parent = group.parent / name
        # Version 2 inherits by itself, and its file is empty at the top.
        if own.is_file() and parent.is_file() and not own.read_text().strip() and parent.read_text().strip():
            own.write_text(parent.read_text())
