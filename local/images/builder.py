"""Builds one image at a time, with buildah, from a context that holds exactly the files its identity was made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.images import debian, hostconfig
from local.images.binaries import Tools
from local.images.catalog import Image
from local.images.containerfile import DEBIAN
from local.images.errors import ImageError
from local.images.folders import Folders
from local.progress import Progress, heartbeat

_BUILDER = "builder"
_LAST_LINES = 25


class Builder:
    """Builds images into buildah's storage and writes finished ones to an OCI layout."""

    def __init__(self, tools: Tools, folders: Folders, progress: Progress) -> None:
        """Take the tools and the cache; nothing is run yet."""
        self._tools = tools
        self._folders = folders
        self._progress = progress

    def tidy(self) -> None:
        """Remove what a build that was cut off has left. Call while holding the images' lock."""
        shutil.rmtree(self._folders.work, ignore_errors=True)
        self._buildah(["rm", "--all"])

    def has(self, reference: str) -> bool:
        """Say whether buildah's storage holds an image."""
        return self._buildah(["inspect", "--type=image", reference]).returncode == 0

    def build(self, image: Image) -> None:
        """Build one image whose parents are in the storage.

        Raises:
            ImageError: buildah failed; the message holds its last lines.
        """
        with self._work(image.name) as work:
            context = work / "context"
            _stage(image, context)
            options = [f"--build-arg={name}={value}" for name, value in image.build_arguments.items()]
            if image.parents:
                packages = hostconfig.package_cache(os.environ, self._folders.packages)
                with_python = _BUILDER in (image.name, *image.parents)
                pairs = hostconfig.mounts(work, self._package_sources(), packages, with_python=with_python)
                options += [f"--volume={here}:{there}" for here, there in pairs]
            with heartbeat(self._progress, f"building image {image.name}"):
                done = self._bud(context, [*options, f"--tag={image.reference}"])
        if done.returncode != 0:
            raise ImageError(f"image {image.name} could not be built:\n{_last_lines(done)}")

    def build_debian(self) -> None:
        """Bring Debian's root file system into the storage, making it if the cache lacks it.

        Raises:
            ImageError: it could not be made.
        """
        archive = self._debian_archive()
        if not (archive.exists() and self._package_sources().exists()):
            debian.make(
                self._tools.bin("mmdebstrap"), archive, self._package_sources(), self._folders.work, self._progress
            )
        with self._work(DEBIAN) as work:
            context = work / "context"
            context.mkdir()
            os.link(archive, context / "root.tar")
            (context / "Containerfile").write_text('FROM scratch\nADD root.tar /\nCMD ["sh"]\n')
            done = self._bud(context, [f"--tag={debian.image_reference()}"])
        if done.returncode != 0:
            raise ImageError(f"Debian's root file system could not be imported:\n{_last_lines(done)}")

    def export(self, image: Image, layout: Path) -> None:
        """Write an image to an OCI layout: uncompressed, and only those layers that the layout lacks.

        Raises:
            ImageError: buildah failed; the message holds its last lines.
        """
        with heartbeat(self._progress, f"storing image {image.name}"):
            done = self._run_on_storage(
                lambda run_root: [
                    *(str(self._tools.bin("skopeo")), "copy", "--quiet", "--dest-oci-accept-uncompressed-layers"),
                    f"containers-storage:[overlay@{self._folders.buildah}+{run_root}]{image.reference}",
                    f"oci:{layout}:image",
                ]
            )
        if done.returncode != 0:
            raise ImageError(f"image {image.name} could not be stored:\n{_last_lines(done)}")

    def _debian_archive(self) -> Path:
        return self._folders.debian / f"{debian.image_reference().rpartition(':')[2]}.tar"

    def _package_sources(self) -> Path:
        return self._debian_archive().with_suffix(".sources")

    def _bud(self, context: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # chroot: other ways of isolation need cgroups that not every machine has. The fixed time stamp makes the same
        # files the same layer.
        fixed = ["--isolation=chroot", "--timestamp=0", "--layers=false", "--pull=never", "--identity-label=false"]
        return self._buildah(["bud", *fixed, *options, str(context)])

    def _buildah(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self._run_on_storage(
            lambda run_root: [
                *(str(self._tools.bin("buildah")), f"--root={self._folders.buildah}", f"--runroot={run_root}"),
                *("--storage-driver=overlay", *arguments),
            ]
        )

    def _run_on_storage(self, command: Callable[[Path], list[str]]) -> subprocess.CompletedProcess[str]:
        """Run a command line made for a folder that holds the storage's run-time state."""
        self._folders.buildah.mkdir(parents=True, exist_ok=True)
        with self._work("run") as run_root:
            # In a mount namespace of its own: whatever ends the tool, the kernel takes its mounts away.
            return subprocess.run(
                [
                    *("setpriv", "--pdeathsig=TERM", "unshare", "--mount", "--propagation=private", "--"),
                    *command(run_root),
                ],
                env={**os.environ, "TMPDIR": str(self._folders.work)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )

    @contextmanager
    def _work(self, name: str) -> Generator[Path]:
        self._folders.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folders.work, prefix=f"{name}-") as folder:
            yield Path(folder)


def _stage(image: Image, context: Path) -> None:
    context.mkdir()
    (context / "Containerfile").write_text(image.text, encoding="utf-8")
    for file in image.files:
        target = context / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.origin, target)
        target.chmod(0o755 if file.executable else 0o644)


def _last_lines(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
