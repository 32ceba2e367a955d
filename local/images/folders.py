"""Where everything about images lies in the cache."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import locking, paths
from local.progress import Progress


@dataclass(frozen=True)
class Folders:
    """Folders below one root in the cache."""

    root: Path

    @staticmethod
    def in_cache() -> Folders:
        """Return the folders of this user's cache."""
        return Folders(paths.cache_dir() / "images")

    @property
    def store(self) -> Path:
        """Finished images, with shared layers."""
        return self.root / "store"

    @property
    def debian(self) -> Path:
        """Root file systems to start from."""
        return self.root / "debian"

    @property
    def programs(self) -> Path:
        """Programs that are compiled for images only."""
        return self.root / "programs"

    @property
    def buildah(self) -> Path:
        """The builder's own storage; may be lost at any time."""
        return self.root / "buildah"

    @property
    def packages(self) -> Path:
        """What uv has downloaded, where the user has no cache of his own."""
        return self.root / "packages"

    @property
    def work(self) -> Path:
        """Folders of work in progress."""
        return self.root / "work"

    @property
    def seeds(self) -> Path:
        """Ready-made containerd roots."""
        return self.root / "seeds"


@contextmanager
def locked(folders: Folders, progress: Progress) -> Generator[None]:
    """Hold the images' lock; says so if another process has it."""
    with locking.locked(folders.root / "lock", lambda: progress("waiting for another process that builds images")):
        yield
