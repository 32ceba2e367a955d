"""Installs Debian packages, all missing ones in one go, without letting Debian start or enable their services."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

from local.progress import Progress, heartbeat
from local.toolchain.catalog import DebianTool
from local.toolchain.errors import ToolchainError

POLICY: Final = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's package scripts whether a service may be started; exit code 101 means no."""
_REFUSE: Final = "#!/bin/sh\n# Written by mlplatform while it installs packages; removed at once.\nexit 101\n"
_LAST_LINES: Final = 15
_LOCK_SECONDS: Final = 600


def is_installed(tool: DebianTool) -> bool:
    """Return whether every binary of the package is where it belongs."""
    return all(Path(path).exists() for path in tool.paths.values())


def install(tools: Sequence[DebianTool], progress: Progress) -> None:
    """Install packages.

    Raises:
        ToolchainError: apt failed, or a package did not bring a binary; the message holds apt's last lines.
    """
    names = [tool.name for tool in tools]
    with heartbeat(progress, f"installing Debian packages ({', '.join(names)})"), no_service_starts():
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *names)
    for tool in tools:
        if not is_installed(tool):
            raise ToolchainError(f"Debian package {tool.name} did not bring {', '.join(tool.paths.values())}")
        for service in tool.services:
            _disable(service)


@contextlib.contextmanager
def no_service_starts(policy: Path = POLICY) -> Generator[None]:
    """Make Debian refuse to start services while the body runs; a policy that was there comes back afterwards."""
    saved = policy.with_name(f"{policy.name}.mlplatform-saved")
    if not saved.exists() and policy.exists():
        policy.rename(saved)
    try:
        policy.write_text(_REFUSE)
        policy.chmod(0o755)
        yield
    finally:
        # An interrupted run leaves `saved`, which the next one then restores here.
        if saved.exists():
            saved.replace(policy)
        else:
            policy.unlink(missing_ok=True)


def _disable(service: str) -> None:
    """Keep a service from being started at the next boot. Works on files, so also where systemd does not run."""
    if shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", service], capture_output=True, check=False)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", "-o", "Acquire::Retries=3", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ToolchainError("there is no `apt-get` on PATH: Debian or a relative of it is needed") from None
    if done.returncode != 0:
        lines = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise ToolchainError(f"apt-get {arguments[0]} failed:\n{lines}")
