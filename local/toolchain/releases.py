"""Downloads a tool from its maker, and believes the download only if its sha256 is the published one."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from local.toolchain.catalog import GoTool, Release
from local.toolchain.errors import ToolchainError

CONNECT_SECONDS = 4.0
_READ_SECONDS = 30.0
_EXECUTABLE = 0o755
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


class _NoChecksumError(Exception):
    """What answers at the address of the checksums is not the maker, or has none for the file."""


@dataclass
class Makers:
    """Downloads, and remembers for the length of a run which makers cannot be reached."""

    arch: str
    """Processor in Go's words, for example `amd64`."""
    unreachable: set[str] = field(default_factory=lambda: set[str]())
    """Host names that gave no usable answer; they are not asked again."""

    def download(self, tool: GoTool, binaries: Path) -> bool:
        """Put all binaries of a tool into `binaries`; return whether the maker could be reached.

        Raises:
            ToolchainError: what came does not have the published checksum, or lacks a binary.
        """
        release = tool.release
        if release is None or self._hosts(release) & self.unreachable:
            return False
        try:
            with httpx.Client(timeout=_timeout(), follow_redirects=True) as client:
                if release.members:
                    self._from_archive(client, release, binaries)
                else:
                    for name in tool.binaries:
                        self._file(client, release, name, binaries / name)
        except (httpx.HTTPError, _NoChecksumError):
            self.unreachable |= self._hosts(release)
            return False
        for name in tool.binaries:
            (binaries / name).chmod(_EXECUTABLE)
        return True

    def _from_archive(self, client: httpx.Client, release: Release, binaries: Path) -> None:
        with tempfile.TemporaryDirectory(dir=binaries, prefix=".archive-") as folder:
            archive = Path(folder) / "archive"
            self._file(client, release, "", archive)
            with tarfile.open(archive) as content:
                for name, member in release.members.items():
                    self._extract(content, member, binaries / name)

    def _extract(self, content: tarfile.TarFile, member: str, target: Path) -> None:
        path = self._fill(member, "")
        try:
            source = content.extractfile(path)
        except KeyError:
            source = None
        if source is None:
            raise ToolchainError(f"the maker's archive has no file {path}")
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file)

    def _file(self, client: httpx.Client, release: Release, binary: str, target: Path) -> None:
        url, checksum_url = self._fill(release.url, binary), self._fill(release.checksum_url, binary)
        answer = client.get(checksum_url)
        answer.raise_for_status()
        published = find_checksum(answer.text, url.rsplit("/", 1)[-1])
        if published is None:
            raise _NoChecksumError(checksum_url)
        with client.stream("GET", url) as stream, target.open("wb") as file:
            stream.raise_for_status()
            actual = _write(file, stream.iter_bytes())
        if actual != published:
            raise ToolchainError(
                f"{url}: sha256 is {actual}, but its maker publishes {published}; nothing of it was used"
            )

    def _hosts(self, release: Release) -> set[str]:
        return {urlsplit(url).netloc for url in (release.url, release.checksum_url)}

    def _fill(self, template: str, binary: str) -> str:
        arch_x64 = "x64" if self.arch == "amd64" else self.arch
        return template.format(arch=self.arch, arch_x64=arch_x64, binary=binary)


def find_checksum(text: str, file_name: str) -> str | None:
    """Return the sha256 for a file: the only word of a line, or the first on the line that ends with the name.

    Anything else that answers in the maker's place, such as a page of a proxy, has none.
    """
    for line in text.splitlines():
        words = line.split()
        if words and _SHA256.fullmatch(words[0]) and (len(words) == 1 or words[-1].lstrip("*") == file_name):
            return words[0].lower()
    return None


def _write(file: BinaryIO, pieces: Iterable[bytes]) -> str:
    """Write the pieces and return their sha256."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def _timeout() -> httpx.Timeout:
    return httpx.Timeout(_READ_SECONDS, connect=CONNECT_SECONDS)
