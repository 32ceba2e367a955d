"""What pruning the cache removes and what it keeps."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from local.images import debian
from local.images.catalog import discover
from local.images.folders import Folders, locked
from local.images.prune import prune


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    monkeypatch.setenv("MLP_CACHE_DIR", str(tmp_path / "cache"))
    return Folders.in_cache()


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_what_the_tree_uses_stays_when_the_cache_is_pruned(tmp_path: Path, folders: Folders) -> None:
    containerfile = tmp_path / "images" / "program" / "Containerfile"
    _file(containerfile).write_text('FROM scratch\nCOPY build/bin/program /p\nENTRYPOINT ["/p"]\n')
    current = debian.image_reference().rpartition(":")[2]
    kept = [_file(folders.debian / f"{current}.tar"), _file(folders.programs / "program-1")]
    gone = [
        _file(folders.debian / "000000000000.tar"),
        _file(folders.programs / "program-0"),
        _file(folders.buildah / "overlay" / "file"),
        _file(folders.seeds / "0" / "file"),
        _file(folders.work / "left" / "file"),
    ]
    images = discover(tmp_path, lambda _: folders.programs / "program-1", debian.image_reference())

    prune(images, lambda _: None)

    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_it_says_that_it_waits_when_another_process_holds_the_lock(folders: Folders) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def progress(message: str) -> None:
        said.append(message)
        waiting.set()

    def second() -> None:
        with locked(folders, progress):
            said.append("second has it")

    with locked(folders, progress):
        assert said == []
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        said.append("first lets go")
    thread.join(10)

    assert said == ["waiting for another process that builds images", "first lets go", "second has it"]
