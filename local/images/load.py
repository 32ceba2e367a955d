"""Brings images into the containerd of a running node: only those that it lacks, in one stream, shared layers once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from local.images.errors import ImageError
from local.images.folders import Folders
from local.images.store import Store
from local.node.handle import NodeHandle
from local.node.services import container_tool
from local.progress import Progress, heartbeat

_BYTES_PER_MB = 1_000_000


def load(node: NodeHandle, references: Mapping[str, str], progress: Progress) -> list[str]:
    """Import the images that the node lacks and return their references.

    Args:
        node: a running node.
        references: logical name -> reference, of images in the cache.
        progress: told what is being done.

    Raises:
        ImageError: the node's containerd does not answer or refuses an image.
    """

    def ctr_command(arguments: Sequence[str], /) -> list[str]:
        return node.command([*container_tool(node.config), *arguments])

    return import_missing(ctr_command, references.values(), Store(Folders.in_cache().store), progress)


class CtrCommand(Protocol):
    """Turns arguments of containerd's tool into a command line."""

    def __call__(self, arguments: Sequence[str], /) -> list[str]:
        """Return the command line."""
        ...


def present(ctr_command: CtrCommand) -> set[str]:
    """Return the names of all images that a containerd has.

    Raises:
        ImageError: it does not answer.
    """
    done = subprocess.run(
        ctr_command(["images", "list", "--quiet"]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ImageError(f"containerd does not list its images: {done.stderr.strip()}")
    return set(done.stdout.split())


def import_missing(ctr_command: CtrCommand, references: Iterable[str], store: Store, progress: Progress) -> list[str]:
    """Import the images that a containerd lacks and return their references.

    Raises:
        ImageError: it does not answer or refuses an image.
    """
    have = present(ctr_command)
    missing = sorted(set(references) - have)
    if missing:
        known = [reference for reference in store.references() if reference in have]
        size_mb = store.size_bytes(missing, known) / _BYTES_PER_MB
        with heartbeat(progress, f"loading {len(missing)} images ({size_mb:.0f} MB)"):
            _import(ctr_command(["images", "import", "-"]), missing, known, store)
    return missing


def _import(command: Sequence[str], references: Sequence[str], known: Sequence[str], store: Store) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None  # noqa: S101  it was asked for
        assert process.stdout is not None  # noqa: S101  as above
        try:
            store.write_archive(references, process.stdin, known)
            process.stdin.close()
        except BrokenPipeError:
            pass  # ctr has ended early; what it said is below
        said = process.stdout.read().decode(errors="replace").strip()
    if process.returncode != 0:
        raise ImageError(f"containerd refused the images {', '.join(references)}:\n{said}")
