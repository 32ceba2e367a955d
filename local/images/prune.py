"""Removes what no image of the tree uses any more; whatever is removed can be made again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from local.images import debian
from local.images.catalog import Image
from local.images.folders import Folders, locked
from local.images.store import Store
from local.progress import Progress


def prune(images: Mapping[str, Image], progress: Progress) -> list[str]:
    """Tidy the cache and return what went.

    The builder's storage, pip's downloads and ready-made containerd roots go as a whole: they only save time. Running
    nodes keep their images: they have links of their own.

    Args:
        images: every image that the cluster needs; those that it has only on demand go, too.
        progress: told what is being done.
    """
    folders = Folders.in_cache()
    with locked(folders, progress):
        removed = Store(folders.store).prune(image.reference for image in images.values())
        current = debian.image_reference().rpartition(":")[2]
        outdated = [path for path in _children(folders.debian) if path.stem != current]
        programs = {file.origin for image in images.values() for file in image.files}
        outdated += [path for path in _children(folders.programs) if path not in programs]
        for path in (folders.buildah, folders.packages, folders.work, folders.seeds, *outdated):
            if path.exists():
                progress(f"removing {path}")
                removed.append(str(path))
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []
