"""Finished images on disk: an OCI layout in which images share their layers, and one small file per image.

The file per image is written last and in one step, so an image is in the store completely or not at all.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

_NAME_ANNOTATION = "io.containerd.image.name"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_LAYOUT_VERSION = json.dumps({"imageLayoutVersion": "1.0.0"})


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One content-addressed file."""

    digest: str
    """`sha256:<hex>`"""
    size_bytes: int


class Store:
    """The store below one folder."""

    def __init__(self, root: Path) -> None:
        """Take the folder; it is made when something is added."""
        self._root = root
        self._entries = root / "images"
        self._blobs_folder = root / "blobs" / "sha256"

    def has(self, reference: str) -> bool:
        """Say whether an image is in the store."""
        return self._entry(reference).exists()

    def references(self) -> list[str]:
        """Return the references of all images in the store, sorted."""
        return sorted(json.loads(path.read_text())["reference"] for path in self._entries.glob("*.json"))

    @property
    def layout(self) -> Path:
        """The OCI layout to which a tool writes an image for `add`; layers that it finds there it need not write."""
        return self._root

    def prepare(self) -> None:
        """Make the layout ready to take one image. Call while holding the images' lock, up to `add`."""
        self._entries.mkdir(parents=True, exist_ok=True)
        (self._root / "index.json").unlink(missing_ok=True)

    def add(self, reference: str) -> None:
        """Take in the one image that has been written to the layout since `prepare`."""
        (written,) = json.loads((self._root / "index.json").read_text())["manifests"]
        manifest = {name: written[name] for name in ("mediaType", "digest", "size")}
        unfinished = self._entry(reference).with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"reference": reference, "manifest": manifest}))
        unfinished.replace(self._entry(reference))

    def size_bytes(self, references: Iterable[str], known: Iterable[str] = ()) -> int:
        """Return the size of several images together, shared layers once, without what is part of `known` images."""
        left_out = {blob.digest for blob in self._blobs(known)}
        return sum(blob.size_bytes for blob in self._blobs(references) if blob.digest not in left_out)

    def manifest(self, reference: str) -> dict[str, Any]:
        """Return an image's OCI manifest: where its configuration and its layers are."""
        return self._read(self._descriptor(reference)["digest"])

    def blob_path(self, digest: str) -> Path:
        """Return the file with a given `sha256:<hex>` digest."""
        return self._blobs_folder / digest.partition(":")[2]

    def write_archive(self, references: Iterable[str], stream: IO[bytes], known: Iterable[str] = ()) -> None:
        """Write images as one OCI archive; layers that they share are in it once.

        Args:
            references: the images.
            stream: written to from front to back.
            known: images that the reader has already: what is part of them is left out.
        """
        left_out = {blob.digest for blob in self._blobs(known)}
        wanted = list(references)
        manifests = [
            {**self._descriptor(reference), "annotations": {_NAME_ANNOTATION: reference}} for reference in wanted
        ]
        index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": manifests}
        with tarfile.open(fileobj=stream, mode="w|") as archive:
            _add_text(archive, "oci-layout", _LAYOUT_VERSION)
            for blob in self._blobs(wanted):
                if blob.digest not in left_out:
                    path = self.blob_path(blob.digest)
                    archive.add(path, f"blobs/sha256/{path.name}", filter=_anonymous)
            _add_text(archive, "index.json", json.dumps(index))

    def prune(self, keep: Iterable[str]) -> list[str]:
        """Remove every image but `keep` and the layers that only they had; return the removed references."""
        kept = set(keep)
        removed = [reference for reference in self.references() if reference not in kept]
        for reference in removed:
            self._entry(reference).unlink()
        used = {blob.digest.partition(":")[2] for blob in self._blobs(self.references())}
        for path in self._blobs_folder.glob("*"):
            if path.name not in used:
                path.unlink()
        return removed

    def _entry(self, reference: str) -> Path:
        return self._entries / (reference.rpartition("/")[2].replace(":", "-") + ".json")

    def _descriptor(self, reference: str) -> dict[str, Any]:
        return json.loads(self._entry(reference).read_text())["manifest"]

    def _read(self, digest: str) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.blob_path(digest).read_text()))

    def _blobs(self, references: Iterable[str]) -> Iterator[Blob]:
        seen: set[str] = set()
        for reference in references:
            descriptor = self._descriptor(reference)
            manifest = self.manifest(reference)
            for item in (*manifest["layers"], manifest["config"], descriptor):
                if item["digest"] not in seen:
                    seen.add(item["digest"])
                    yield Blob(digest=item["digest"], size_bytes=item["size"])


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
