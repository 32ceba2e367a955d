"""The store of finished images: complete or not at all, shared layers once, nothing unused after pruning."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from local.images.store import Store

_SHARED = b"shared layer"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _write(store: Store, *layers: bytes, user: str = "1000:1000") -> None:
    """Do what a tool does that writes an image to an OCI layout."""
    config = json.dumps({"config": {"User": user}, "layers": len(layers)}).encode()
    manifest = json.dumps(
        {
            "config": {"digest": _digest(config), "size": len(config)},
            "layers": [{"digest": _digest(layer), "size": len(layer)} for layer in layers],
        }
    ).encode()
    for content in (config, manifest, *layers):
        path = store.blob_path(_digest(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    descriptor: dict[str, object] = {
        "mediaType": "manifest",
        "digest": _digest(manifest),
        "size": len(manifest),
        "annotations": {},
    }
    (store.layout / "index.json").write_text(json.dumps({"manifests": [descriptor]}))


def _add(store: Store, reference: str, *layers: bytes) -> None:
    store.prepare()
    _write(store, *layers, user=reference)
    store.add(reference)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    _add(store, "localhost/mlplatform/a:1", _SHARED, b"a")
    _add(store, "localhost/mlplatform/b:1", _SHARED, b"bb")
    return store


def test_an_image_is_found_when_it_was_added(store: Store) -> None:
    assert store.has("localhost/mlplatform/a:1")
    assert not store.has("localhost/mlplatform/a:2")
    assert store.references() == ["localhost/mlplatform/a:1", "localhost/mlplatform/b:1"]
    config = store.manifest("localhost/mlplatform/a:1")["config"]
    assert json.loads(store.blob_path(config["digest"]).read_text())["config"]["User"] == "localhost/mlplatform/a:1"


def test_an_image_is_absent_when_it_was_not_written_to_the_end(store: Store) -> None:
    store.prepare()
    with pytest.raises(FileNotFoundError):
        store.add("localhost/mlplatform/c:1")

    assert not store.has("localhost/mlplatform/c:1")


def test_shared_layers_count_once_when_images_are_measured_together(store: Store) -> None:
    together = store.size_bytes(store.references())
    apart = sum(store.size_bytes([reference]) for reference in store.references())

    assert apart - together == len(_SHARED)


def test_the_archive_holds_each_layer_once_and_names_each_image_when_written(store: Store) -> None:
    stream = io.BytesIO()
    store.write_archive(store.references(), stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        names = archive.getnames()
        index = json.load(archive.extractfile("index.json") or io.BytesIO())

    assert len(names) == len(set(names))
    assert names.count("blobs/sha256/" + _digest(_SHARED).removeprefix("sha256:")) == 1
    assert [item["annotations"]["io.containerd.image.name"] for item in index["manifests"]] == store.references()


def test_the_archive_leaves_out_what_the_reader_has_when_told(store: Store) -> None:
    stream = io.BytesIO()
    wanted, known = ["localhost/mlplatform/b:1"], ["localhost/mlplatform/a:1"]
    store.write_archive(wanted, stream, known)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        names = archive.getnames()

    assert "blobs/sha256/" + _digest(b"bb").removeprefix("sha256:") in names
    assert "blobs/sha256/" + _digest(_SHARED).removeprefix("sha256:") not in names
    assert store.size_bytes(wanted, known) == store.size_bytes(wanted) - len(_SHARED)


def test_only_unused_layers_go_when_an_image_is_pruned(store: Store) -> None:
    removed = store.prune(["localhost/mlplatform/b:1"])

    left = {path.name for path in store.blob_path("sha256:0").parent.iterdir()}
    assert removed == ["localhost/mlplatform/a:1"]
    assert store.references() == ["localhost/mlplatform/b:1"]
    assert _digest(_SHARED).removeprefix("sha256:") in left
    assert _digest(b"bb").removeprefix("sha256:") in left
    assert _digest(b"a").removeprefix("sha256:") not in left
    assert len(left) == 4
