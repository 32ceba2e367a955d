"""Makes images of a few files in a moment, so that a node can be tested without the platform's images."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath


def write(archive: Path, reference: str, files: Mapping[str, Path], entrypoint: Sequence[str]) -> None:
    """Write an image archive that `ctr images import` reads.

    Args:
        archive: the file to write.
        reference: the image's name with its tag.
        files: absolute path in the image -> file on this machine.
        entrypoint: the command that a container runs by default.
    """
    layer = _tar({**{name.lstrip("/"): source.read_bytes() for name, source in files.items()}})
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/bin"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).encode()
    archive.write_bytes(_tar({config_name: config, layer_name: layer, "manifest.json": manifest}))


def with_libraries(*programs: str) -> dict[str, Path]:
    """Return programs of this machine below /bin of an image, and the libraries that they load."""
    files: dict[str, Path] = {}
    for program in programs:
        files |= {f"/bin/{Path(program).name}": Path(program).resolve(), **libraries_of(Path(program))}
    return files


def libraries_of(file: Path) -> dict[str, Path]:
    """Return the libraries that a program or a library of this machine loads, at the same places in an image."""
    listed = subprocess.run(["ldd", str(file.resolve())], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in listed.splitlines()]
    found = [line[2] if "=>" in line else line[0] for line in words]
    return {library: Path(library).resolve() for library in found if library.startswith("/")}


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folders = {str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
