"""Builds a tool from its pinned Go modules; go.sum makes sure that these are the ones that were pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.progress import Progress, heartbeat
from local.toolchain.cache import BUILD_FLAGS
from local.toolchain.catalog import GoTool, ModuleFile
from local.toolchain.errors import ToolchainError

_LAST_LINES = 15
# Nothing for debuggers, which the linker (-s -w) would throw away: a tenth less work. The programs do the same with and
# without, so the cache does not ask how one was built.
_COMPILER_FLAGS = "-gcflags=all=-dwarf=false"


def build(tool: GoTool, modules: Path, binaries: Path, progress: Progress) -> None:
    """Build all binaries of a tool into `binaries`.

    Raises:
        ToolchainError: the compiler failed, or there is none; the message holds its last lines.
    """
    with heartbeat(progress, f"building {tool.name} ({', '.join(tool.packages)})"):
        _build_packages(tool, modules / tool.folder, binaries)
    for name, source in tool.files.items():
        with heartbeat(progress, f"fetching {tool.name} ({name})"):
            shutil.copyfile(_module_folder(source, modules) / source.path, binaries / name)
        (binaries / name).chmod(0o755)


def _build_packages(tool: GoTool, folder: Path, binaries: Path) -> None:
    # All in one command, so that one binary is linked (by one processor) while others are compiled; into a folder of
    # its own, since some packages' last path element is not the binary's name.
    with tempfile.TemporaryDirectory(dir=binaries, prefix=".build-") as output:
        flags = f"-s -w {tool.link_flags}"
        options = [_COMPILER_FLAGS, "-ldflags", flags, "-o", f"{output}/"]
        _go(["build", *options, *tool.packages.values()], folder, f"building {tool.name}", cgo=tool.cgo)
        built = list(Path(output).iterdir())
        for name, package in tool.packages.items():
            last = package.rpartition("/")[2]
            (source,) = built if len(built) == 1 else [path for path in built if path.name == last]
            source.rename(binaries / name)


def _module_folder(source: ModuleFile, modules: Path) -> Path:
    """Return the folder of a module in Go's own cache, fetched and verified if it is not there yet."""
    folder = modules / source.folder
    what = f"fetching {source.module}"
    _go(["mod", "download", source.module], folder, what)
    return Path(_go(["list", "-m", "-f", "{{.Dir}}", source.module], folder, what).strip())


def complaint(folder: Path, timeout_seconds: float) -> str | None:
    """Return what Go says if it cannot get a module of the module in `folder`: a small one that all of them need."""
    try:
        _go(["mod", "download", "golang.org/x/sys"], folder, "asking for a module", timeout_seconds)
    except ToolchainError as error:
        return str(error).splitlines()[-1]
    except subprocess.TimeoutExpired:
        return f"nothing within {timeout_seconds:g} s"
    return None


def environment() -> dict[str, str]:
    """Return the environment for Go, which derives its folders from HOME and does nothing without."""
    return {"HOME": str(Path.home()), **os.environ}


def _go(
    arguments: list[str], folder: Path, what: str, timeout_seconds: float | None = None, *, cgo: bool = False
) -> str:
    settings = {"CGO_ENABLED": str(int(cgo)), "GOFLAGS": BUILD_FLAGS, "GOWORK": "off"}
    try:
        done = subprocess.run(
            ["go", *arguments],
            cwd=folder,
            env=environment() | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
    except FileNotFoundError:
        raise ToolchainError(f"{what}: there is no `go` on PATH") from None
    if done.returncode != 0:
        lines = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise ToolchainError(f"{what} failed (go {' '.join(arguments)}):\n{lines}")
    return done.stdout
