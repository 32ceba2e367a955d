"""A containerd root with all images unpacked, made once per set of images and given to every new node by hard links.

Unpacking is most of the time that loading takes, and unpacked layers never change: containers write to folders of their
own. So a new node's containerd starts with the files of the seed under its own names: seconds instead of a minute, no
disk space, and side by side nodes share the page cache.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.images.binaries import Tools
from local.images.errors import ImageError
from local.images.folders import Folders, locked
from local.images.load import import_missing, present
from local.images.store import Store
from local.progress import Progress, heartbeat

_DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")
"""The only files of a containerd root that change in place: they are copied, all others are linked."""

_KEPT = ("io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt", "io.containerd.snapshotter.v1.overlayfs")
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05

_CONFIGURATION = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""


def plant(containerd_root: Path, references: Mapping[str, str], tools: Tools, progress: Progress) -> bool:
    """Fill a new node's containerd root with unpacked images; do nothing to a root that has been used.

    Call before the node starts. What changes later comes in with `load`.

    Args:
        containerd_root: the folder that containerd will be started with.
        references: logical name -> reference, of images in the cache.
        tools: the toolchain; programs `containerd` and `ctr`.
        progress: told what is being done.

    Returns:
        Whether it was filled: not if it has been used, or lies on another file system than the cache.

    Raises:
        ImageError: the images could not be unpacked.
    """
    folders = Folders.in_cache()
    folders.seeds.mkdir(parents=True, exist_ok=True)
    containerd_root.mkdir(parents=True, exist_ok=True)
    if (containerd_root / _DATABASES[0]).exists() or containerd_root.stat().st_dev != folders.seeds.stat().st_dev:
        return False
    with locked(folders, progress):
        seed = _ensure(folders, references, tools, progress)
        with heartbeat(progress, "giving the node its images"):
            _copy(seed, containerd_root)
    return True


def _ensure(folders: Folders, references: Mapping[str, str], tools: Tools, progress: Progress) -> Path:
    wanted = sorted(references.values())
    seed = folders.seeds / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    if seed.exists():
        return seed
    others = [path for path in folders.seeds.iterdir() if path.is_dir()]
    unfinished = Path(tempfile.mkdtemp(dir=folders.seeds, prefix="unfinished-"))
    finished = [path for path in others if not path.name.startswith("unfinished-")]
    if finished:
        _copy(max(finished, key=lambda path: path.stat().st_mtime), unfinished)
    with private_containerd(unfinished, tools) as ctr:
        import_missing(ctr, wanted, Store(folders.store), progress)
        obsolete = sorted(present(ctr) - set(wanted))
        if obsolete:
            subprocess.run(ctr(["images", "remove", "--sync", *obsolete]), check=True, capture_output=True)
    _share_contents(unfinished, Store(folders.store))
    unfinished.chmod(0o711)
    unfinished.rename(seed)
    for path in others:
        shutil.rmtree(path, ignore_errors=True)
    return seed


def _share_contents(root: Path, store: Store) -> None:
    """Let containerd's copies of manifests and layers be the store's files, so that they take no space twice."""
    for path in (root / "io.containerd.content.v1.content" / "blobs" / "sha256").iterdir():
        original = store.blob_path(f"sha256:{path.name}")
        if original.exists() and not path.samefile(original):
            link = path.with_suffix(".link")
            link.hardlink_to(original)
            link.replace(path)


def _copy(seed: Path, target: Path) -> None:
    """Link every file of a seed below `target` and copy its databases; the main one comes last and marks the end."""
    for folder in _KEPT:
        partial = target / folder
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--link", str(seed / folder), str(partial)], check=True)
    for database in reversed(_DATABASES):
        path = target / database
        path.unlink()
        unfinished = path.with_suffix(".unfinished")
        shutil.copy2(seed / database, unfinished)
        unfinished.replace(path)


@contextmanager
def private_containerd(root: Path, tools: Tools) -> Generator[_Ctr]:
    """Run a private containerd on `root`, whose mounts go when it ends."""
    with tempfile.TemporaryDirectory(prefix="mlp-seed-") as name:
        state = Path(name)
        ctr = _Ctr(tools.bin("ctr"), state / "containerd.sock")
        configuration = state / "config.toml"
        configuration.write_text(_CONFIGURATION.format(root=root, state=state / "state", socket=ctr.socket))
        with (state / "log").open("w") as log:
            process = subprocess.Popen(
                # In a mount namespace of its own, and ended with this process: nothing of it stays.
                [
                    *("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "--"),
                    *(str(tools.bin("containerd")), "--config", str(configuration)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _wait(ctr, process, state / "log")
            yield ctr
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


class _Ctr:
    """Command lines for the private containerd."""

    def __init__(self, program: Path, socket: Path) -> None:
        self.socket = socket
        self._program = program

    def __call__(self, arguments: Sequence[str], /) -> list[str]:
        return [str(self._program), "--address", str(self.socket), "--namespace", "k8s.io", *arguments]


def _wait(ctr: _Ctr, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while subprocess.run(ctr(["version"]), capture_output=True, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ImageError(f"containerd did not start to unpack images:\n{log.read_text()[-2000:]}")
        time.sleep(_POLL_SECONDS)
