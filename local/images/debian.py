"""Makes the root file system that stands for Debian's own base image on a machine that reaches no image registry."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from local.images.containerfile import DEBIAN
from local.images.errors import ImageError
from local.images.identity import reference
from local.progress import Progress, heartbeat

SUITE = "bookworm"
REVISION = "2026-11"
"""Month of the packages. A newer one takes in Debian's fixes: every image gets a new name and is built again."""

_EXCLUDED = ("doc", "man", "info", "locale", "lintian", "bug", "zoneinfo/right", "zoneinfo/posix")
_SOURCES = "etc/apt/sources.list"
_LAST_LINES = 15


def options() -> list[str]:
    """Return the options that decide what is in the root file system."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
    return [
        "--variant=apt",
        "--aptopt=APT::Install-Recommends \"false\"",
        "--aptopt=Acquire::Languages \"none\"",
        "--dpkgopt=force-unsafe-io",
        *excluded,
        "--dpkgopt=path-exclude=/usr/lib/*/gconv/*",
        "--customize-hook=rm -rf \"$1\"/var/log/* \"$1\"/var/cache/debconf/*-old",
    ]  # fmt: skip


def hooks(folder: Path) -> list[str]:
    """Return the options that move the list of package sources out of the root file system, into a folder."""
    # mmdebstrap splits what it does itself into words as a shell does; the other is run by a shell.
    copying = shlex.join(["copy-out", f"/{_SOURCES}", str(folder)])
    return [f"--customize-hook={copying}", f'--customize-hook=: > "$1/{_SOURCES}"']


def image_reference() -> str:
    """Return the reference of the image made from this root file system."""
    content = "\n".join([SUITE, REVISION, *options()])
    return reference(DEBIAN, hashlib.sha256(content.encode()).hexdigest()[:12])


def make(mmdebstrap: Path, archive: Path, sources: Path, work: Path, progress: Progress) -> None:
    """Write the root file system as a tar archive, and the list of package sources it was made from.

    The sources are this machine's: they are used while images are built and are left out of them.

    Args:
        mmdebstrap: the tool.
        archive: written in one step; its folder is made.
        sources: written in one step, beside `archive`.
        work: a folder on the same file system for what is unfinished.
        progress: told what is being done.

    Raises:
        ImageError: mmdebstrap failed; the message holds its last lines.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="debian-") as name:
        folder = Path(name)
        command = [
            *("unshare", "--mount", "--propagation=private", "--", str(mmdebstrap), *options(), *hooks(folder)),
            *(SUITE, str(folder / "root.tar"), *_own_package_sources()),
        ]  # fmt: skip
        with heartbeat(progress, "making Debian's root file system"):
            done = subprocess.run(
                command,
                env={**os.environ, "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(folder)},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            last = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
            raise ImageError(f"Debian's root file system could not be made:\n{last}")
        (folder / Path(_SOURCES).name).replace(sources)
        (folder / "root.tar").replace(archive)


def _own_package_sources() -> list[str]:
    """Return this machine's own sources of the suite, so that its mirror is used; none if it runs another release."""
    index = "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)"
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", index, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return package_sources(listing)


def package_sources(listing: str) -> list[str]:
    """Turn lines of origin, codename, component and address into package sources for the suite.

    Returns:
        One `deb` line per archive; nothing if the release itself is not among them.
    """
    uris: dict[str, str] = {}
    for line in listing.splitlines():
        origin, codename, component, uri = line.split(" ", 3)
        if origin == "Debian" and component == "main" and codename.partition("-")[0] == SUITE:
            uris[codename] = uri
    return [f"deb {uri} {codename} main" for codename, uri in uris.items()] if SUITE in uris else []
