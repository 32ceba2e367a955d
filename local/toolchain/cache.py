"""Where finished Go tools are kept: `<cache>/<tool>-<version>-<hash8>/bin/<binary>`.

The hash covers whatever decides what the binaries are, so a changed pin never meets an old binary. A folder under its
final name is complete: it is filled under another name and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

from local.toolchain.catalog import GoTool

BUILD_FLAGS: Final = "-mod=readonly -trimpath -buildvcs=false"
_UNFINISHED: Final = ".unfinished-"
_FOUND_FILE: Final = "found-on-path.json"


def key(tool: GoTool, modules: Path) -> str:
    """Return the eight characters that stand for all inputs of a tool's binaries."""
    digest = hashlib.sha256()
    for folder in dict.fromkeys([tool.folder, *(file.folder for file in tool.files.values())]):
        for name in ("go.mod", "go.sum"):
            digest.update((modules / folder / name).read_bytes())
    files = sorted((name, file.module, file.path) for name, file in tool.files.items())
    inputs = [sorted(tool.packages.items()), files, tool.link_flags, BUILD_FLAGS, *(["cgo"] if tool.cgo else [])]
    digest.update(json.dumps(inputs).encode())
    return digest.hexdigest()[:8]


class Cache:
    """The folder of finished tools."""

    def __init__(self, folder: Path, modules: Path) -> None:
        self._folder = folder
        self._modules = modules

    @property
    def lock(self) -> Path:
        """File that is locked while tools are added."""
        return self._folder / ".lock"

    def place(self, tool: GoTool) -> Path:
        """Return the folder of a tool, whether it exists or not."""
        return self._folder / f"{tool.name}-{tool.version}-{key(tool, self._modules)}"

    def find(self, tool: GoTool) -> dict[str, Path] | None:
        """Return the tool's binaries, or None if they are not there or no longer what was found on PATH."""
        place = self.place(tool)
        binaries = {name: place / "bin" / name for name in tool.binaries}
        if not all(path.is_file() for path in binaries.values()):
            return None
        found = place / _FOUND_FILE
        if found.exists() and json.loads(found.read_text()) != _marks(binaries):
            return None
        return binaries

    @contextlib.contextmanager
    def adding(self, tool: GoTool) -> Generator[Path]:
        """Yield an empty `bin` folder; if the body succeeds, it becomes the tool's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self.place(tool)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=_UNFINISHED) as unfinished:
            filled = Path(unfinished) / "tool"
            binaries = filled / "bin"
            binaries.mkdir(parents=True)
            yield binaries
            if any(path.is_symlink() for path in binaries.iterdir()):
                marks = _marks({path.name: path for path in binaries.iterdir()})
                (filled / _FOUND_FILE).write_text(json.dumps(marks))
            if place.exists():
                shutil.rmtree(place)
            filled.rename(place)

    def remove_unfinished(self) -> None:
        """Remove what an interrupted run left; only for the holder of the lock."""
        for path in self._folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(path)


def _marks(binaries: dict[str, Path]) -> dict[str, list[int]]:
    """Return what changes when a file on PATH is replaced by another version."""
    return {name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in sorted(binaries.items())}
