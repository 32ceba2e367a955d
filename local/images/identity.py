"""The name of an image is a hash of everything that goes into it: same inputs, same name, nothing to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.images.containerfile import REGISTRY

_HASH_LENGTH = 12
_CHUNK_BYTES = 1 << 20
_LEFT_OUT = frozenset({"__pycache__", ".pytest_cache", ".ruff_cache"})


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file of an image's build context."""

    path: str
    """Where it lies in the context, relative, with forward slashes."""
    origin: Path
    """Where its content is now."""
    executable: bool
    digest: str
    """SHA-256 of the content."""


def reference(name: str, inputs_hash: str) -> str:
    """Return the full reference of an image."""
    return f"{REGISTRY}/{name}:{inputs_hash}"


def inputs_hash(containerfile: str, files: list[InputFile], parents: Mapping[str, str], recipe: str) -> str:
    """Return the hash of everything that decides an image's content.

    Args:
        containerfile: its text.
        files: what it copies from the context.
        parents: build argument -> reference of the image it stands for.
        recipe: what else the builder does, as text; changes when the way of building changes.
    """
    content = {
        "containerfile": containerfile,
        "files": sorted([file.path, file.executable, file.digest] for file in files),
        "parents": dict(sorted(parents.items())),
        "recipe": recipe,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_HASH_LENGTH]


def input_files(source: str, origin: Path) -> list[InputFile]:
    """Return the files that copying `source` brings, in a fixed order; byte code and tool caches are left out.

    Args:
        source: path in the build context.
        origin: the file or folder that stands there.

    Raises:
        FileNotFoundError: there is nothing at `origin`, or only an empty folder.
    """
    if origin.is_file():
        return [_input_file(source, origin)]
    found = [
        _input_file(f"{source}/{path.relative_to(origin).as_posix()}", path)
        for path in sorted(origin.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not _LEFT_OUT.intersection(path.relative_to(origin).parts)
    ]
    if not found:
        raise FileNotFoundError(f"{source}: nothing at {origin}")
    return found


def _input_file(path: str, origin: Path) -> InputFile:
    return InputFile(
        path=path, origin=origin, executable=bool(origin.stat().st_mode & 0o100), digest=file_digest(origin)
    )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
