"""What a platform could leave on the machine: taken before and after, the difference must be nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def inventory(state_base: Path) -> dict[str, set[str]]:
    """Return mounts, network interfaces, packet filter rules, control groups, processes and files.

    Args:
        state_base: the folder below which the instance keeps everything; processes are its own if they name it.
    """
    return {
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        "packet filter": set(_packet_filter()),
        "control groups": {str(path) for path in Path("/sys/fs/cgroup").glob("**/") if "mlp" in path.name},
        "processes": set(_processes(str(state_base))),
        "files": {str(path) for path in state_base.rglob("*")} if state_base.exists() else set(),
    }


def _packet_filter() -> list[str]:
    if shutil.which("nft") is None:
        return []
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout.splitlines()


def _processes(mark: str) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if mark in command:
            found.append(command)
    return found
