"""Uses a tool that is on PATH already, if its version fits."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from local.toolchain.catalog import GoTool, Installed

_TIMEOUT_SECONDS = 10


def link(tool: GoTool, binaries: Path) -> str | None:
    """Link all binaries of a tool from PATH into `binaries`; return their version, or None if they do not fit."""
    if tool.installed is None:
        return None
    found = {name: shutil.which(name) for name in tool.binaries}
    if not all(found.values()):
        return None
    version = _version(tool.installed)
    if version is None or not fits(version, tool.version, tool.installed.equal_parts):
        return None
    for name, path in found.items():
        (binaries / name).symlink_to(Path(str(path)).resolve())
    return version


def fits(have: str, want: str, equal_parts: int) -> bool:
    """Return whether version `have` can stand for `want`: not older, and equal in its first parts."""
    try:
        have_parts = [int(part) for part in have.lstrip("v").split(".")]
        want_parts = [int(part) for part in want.split(".")]
    except ValueError:  # for example a pre-release
        return False
    return have_parts[:equal_parts] == want_parts[:equal_parts] and have_parts >= want_parts


def _version(installed: Installed) -> str | None:
    try:
        done = subprocess.run(installed.command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(installed.pattern, done.stdout)
    return match.group(1) if done.returncode == 0 and match else None
