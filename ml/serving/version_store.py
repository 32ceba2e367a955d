"""The folders that sync shares with the model server: versions in place, versions parked, and what sync remembers.

Below the model's folder only names that are plain numbers mean something to the server. Everything else of ours starts
with a dot. A version appears by one rename, complete or not at all, and is renamed away before it is deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ml.serving.sync_core import Memory, Wanted

_LOG = logging.getLogger(__name__)
_PARKED: Final = ".parked"
_STAGING: Final = ".staging"
_TRASH: Final = ".trash"
_MEMORY: Final = ".sync.json"
_IDENTITY: Final = ".identity"


class VersionStore:
    """One model's folder."""

    def __init__(self, base_path: Path, model: str) -> None:
        """Create the folder if needed and clear what an interrupted run left."""
        self.directory = base_path / model
        self._parked = self.directory / _PARKED
        self._parked.mkdir(parents=True, exist_ok=True)
        self._clear_leftovers()

    def placed(self) -> dict[int, str]:
        """Return the versions that the server sees, with their identity."""
        return _versions(self.directory)

    def parked(self) -> dict[int, str]:
        """Return the versions that are kept out of the server's sight, with their identity."""
        return _versions(self._parked)

    def add(self, wanted: Wanted, download: Callable[[Path], object]) -> None:
        """Let `download` fill a new folder, then let it appear as the version.

        Raises:
            Exception: whatever `download` raises; nothing is left of it then.
        """
        staging = self.directory / f"{_STAGING}-{wanted.version}"
        _delete(staging)
        try:
            download(staging)
            (staging / _IDENTITY).write_text(wanted.identity, encoding="utf-8")
            staging.rename(self.directory / str(wanted.version))
        except BaseException:
            _delete(staging)
            raise

    def place(self, version: int) -> None:
        """Move a parked version where the server sees it."""
        (self._parked / str(version)).rename(self.directory / str(version))

    def park(self, version: int) -> None:
        """Move a version out of the server's sight, in place of an older copy there."""
        target = self._parked / str(version)
        self._discard(target)
        (self.directory / str(version)).rename(target)

    def remove(self, version: int) -> None:
        """Delete a version wherever it is."""
        self._discard(self.directory / str(version))
        self._discard(self._parked / str(version))

    def load_memory(self) -> Memory:
        """Return what the last run remembered; nothing if there was none or its note is damaged."""
        try:
            stored: Any = json.loads((self.directory / _MEMORY).read_text(encoding="utf-8"))
            wanted = stored["wanted"]
            return Memory(
                wanted=Wanted(int(wanted["version"]), str(wanted["identity"])) if wanted is not None else None,
                good=stored["good"],
                previous=stored["previous"],
                failed=stored["failed"],
            )
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, TypeError, KeyError) as error:
            _LOG.warning("event=memory_unreadable error=%r", str(error))
            return Memory()

    def save_memory(self, memory: Memory) -> None:
        """Keep what must outlive a restart; a disk that does not take it costs no more than a repeated step then."""
        temporary = self.directory / f"{_MEMORY}.new"
        try:
            temporary.write_text(json.dumps(dataclasses.asdict(memory)), encoding="utf-8")
            temporary.replace(self.directory / _MEMORY)
        except OSError as error:
            _LOG.warning("event=memory_not_saved error=%r", str(error))
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _discard(self, path: Path) -> None:
        """Delete a folder after renaming it, so that the server never sees half of a version."""
        if path.exists():
            trash = self.directory / f"{_TRASH}-{path.name}-{os.getpid()}"
            _delete(trash)
            path.rename(trash)
            _delete(trash)

    def _clear_leftovers(self) -> None:
        for entry in self.directory.iterdir():
            if entry.name.startswith((_STAGING, _TRASH)):
                _delete(entry)


def _versions(directory: Path) -> dict[int, str]:
    return {int(path.name): _identity(path) for path in _numbered(directory)}


def _numbered(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.name.isascii() and path.name.isdigit() and path.is_dir():
            yield path


def _identity(path: Path) -> str:
    try:
        return (path / _IDENTITY).read_text(encoding="utf-8")
    except OSError:
        return ""


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
