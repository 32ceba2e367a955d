"""Makes sure that tools are there: from PATH, else from the maker, else built; Debian packages through apt."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from local.locking import locked
from local.paths import cache_dir
from local.progress import Progress
from local.toolchain import debian, gobuild, installed
from local.toolchain.cache import Cache
from local.toolchain.catalog import CLUSTER_TOOLS, TOOLS, DebianTool, GoTool, Tool
from local.toolchain.errors import ToolchainError
from local.toolchain.releases import Makers
from local.toolchain.toolchain import Toolchain

MODULES: Final = Path(__file__).parent / "modules"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def ensure(names: Iterable[str] | None = None, progress: Progress = lambda _message: None) -> Toolchain:
    """Return the tools, installing those that are missing.

    Finished tools stay when a later one fails or the run is interrupted; the next run continues there. If nothing is
    missing, no process is started and nothing is written.

    Args:
        names: tools by name (see catalog.TOOLS); all that the cluster needs if None.
        progress: told what is being done.

    Raises:
        ToolchainError: a tool could not be installed, or a name is unknown.
    """
    tools = select(names)
    cache = default_cache()
    if missing(tools, cache):
        with locked(cache.lock, lambda: progress("waiting for another process that installs tools")):
            cache.remove_unfinished()
            _install(missing(tools, cache), cache, progress)
    binaries: dict[str, Path] = {}
    for tool in tools:
        if isinstance(tool, DebianTool):
            binaries |= {name: Path(path) for name, path in tool.paths.items()}
        else:
            binaries |= cache.find(tool) or {}
    return Toolchain(binaries)


def default_cache() -> Cache:
    """Return the user's cache of tools."""
    return Cache(cache_dir() / "toolchain", MODULES)


def select(names: Iterable[str] | None) -> list[Tool]:
    """Return tools by name, all that the cluster needs if None.

    Raises:
        ToolchainError: a name is unknown.
    """
    if names is None:
        return select(CLUSTER_TOOLS)
    chosen = list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in TOOLS]
    if unknown:
        raise ToolchainError(f"unknown tool {', '.join(unknown)}: allowed are {', '.join(TOOLS)}")
    return [TOOLS[name] for name in chosen]


def missing(tools: Iterable[Tool], cache: Cache) -> list[Tool]:
    """Return the tools that are not installed. Looks at files only."""
    return [
        tool
        for tool in tools
        if not (debian.is_installed(tool) if isinstance(tool, DebianTool) else cache.find(tool) is not None)
    ]


def _install(tools: list[Tool], cache: Cache, progress: Progress) -> None:
    packages = [tool for tool in tools if isinstance(tool, DebianTool)]
    if packages:
        debian.install(packages, progress)
    makers = Makers(_architecture())
    for tool in tools:
        if isinstance(tool, GoTool):
            with cache.adding(tool) as binaries:
                _fetch(tool, binaries, makers, progress)


def _fetch(tool: GoTool, binaries: Path, makers: Makers, progress: Progress) -> None:
    """Fill `binaries` from the first source that has the tool."""
    version = installed.link(tool, binaries)
    if version is not None:
        progress(f"using {tool.name} {version} from PATH")
        return
    if tool.release is not None:
        progress(f"looking for {tool.name} {tool.version} at its maker")
        if makers.download(tool, binaries):
            return
    gobuild.build(tool, MODULES, binaries, progress)


def _architecture() -> str:
    machine = platform.machine()
    try:
        return _ARCHITECTURES[machine]
    except KeyError:
        raise ToolchainError(f"processor {machine}: allowed are {', '.join(_ARCHITECTURES)}") from None
