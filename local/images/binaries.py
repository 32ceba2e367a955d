"""The compiled programs inside the images: the toolchain's, and our own `pause`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from local.images.errors import ImageError
from local.progress import Progress, heartbeat
from local.toolchain import gobuild

PAUSE = "pause"
_GO_SETTINGS = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}


class Tools(Protocol):
    """The part of the toolchain that images need."""

    def bin(self, name: str) -> Path:
        """Return the file of one program."""
        ...


class Binaries:
    """Finds the file that an image copies as `build/bin/<program>`."""

    def __init__(self, tools: Tools, root: Path, folder: Path, progress: Progress) -> None:
        """Take the toolchain, the repository and a folder of the cache for what is compiled here."""
        self._tools = tools
        self._source = root / "images" / PAUSE
        self._folder = folder
        self._progress = progress

    def has(self, program: str) -> bool:
        """Say whether the toolchain has a program: some of them it has only on demand."""
        try:
            return program == PAUSE or bool(self._tools.bin(program))
        except KeyError:
            return False

    def find(self, program: str) -> Path:
        """Return the file of one program, compiling `pause` if that is the one.

        Raises:
            ImageError: the toolchain has no such program, or the compiler failed.
        """
        if program == PAUSE:
            return self._pause()
        try:
            return self._tools.bin(program)
        except KeyError as error:
            raise ImageError(f"build/bin/{program}: {error.args[0]}") from None

    def _pause(self) -> Path:
        key = hashlib.sha256()
        for name in ("go.mod", "main.go"):
            key.update((self._source / name).read_bytes())
        target = self._folder / f"{PAUSE}-{key.hexdigest()[:12]}"
        if not target.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".unfinished")
            with heartbeat(self._progress, "compiling pause"):
                done = subprocess.run(
                    ["go", "build", "-ldflags", "-s -w", "-o", str(unfinished), "."],
                    cwd=self._source,
                    env=gobuild.environment() | _GO_SETTINGS,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode != 0:
                raise ImageError(f"compiling images/{PAUSE} failed:\n{done.stderr.strip()}")
            unfinished.replace(target)
        return target


def export(binaries: Binaries, programs: list[str], folder: Path) -> None:
    """Copy programs to where `docker build` and `buildah build` in the repository expect them."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        shutil.copy2(binaries.find(program), folder / program)
