"""The folder shared with the model server."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from local.modelserver.model import versions_on_disk
from ml.serving.sync_core import Memory, Wanted
from ml.serving.version_store import VersionStore


def add(store: VersionStore, version: int, identity: str = "a") -> None:
    store.add(Wanted(version, identity), lambda folder: _fill(folder, version))


def _fill(folder: Path, version: int) -> None:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(str(version))


def leftovers(store: VersionStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir() if path.name not in {".parked", ".sync.json"})


def test_version_appears_complete_when_it_was_downloaded(tmp_path: Path) -> None:
    store = VersionStore(tmp_path, "m")

    def download(folder: Path) -> None:
        _fill(folder, 1)
        assert versions_on_disk(store.directory) == frozenset()

    store.add(Wanted(1, "identity"), download)
    assert store.placed() == {1: "identity"}
    assert (store.directory / "1" / "saved_model.pb").read_text() == "1"
    assert leftovers(store) == ["1"]


def test_nothing_is_left_when_a_download_fails(tmp_path: Path) -> None:
    store = VersionStore(tmp_path, "m")

    def fail(folder: Path) -> None:
        _fill(folder, 1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        store.add(Wanted(1, "a"), fail)
    assert leftovers(store) == []


def test_nothing_is_left_when_the_disk_is_full(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        store = VersionStore(mount, "m")

        def download(folder: Path) -> None:
            folder.mkdir()
            (folder / "variables").write_bytes(b"\0" * 2_000_000)

        with pytest.raises(OSError, match="No space left on device"):
            store.add(Wanted(1, "a"), download)
        assert leftovers(store) == []
        add(store, 2)
        assert store.placed() == {2: "a"}
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_version_moves_out_of_sight_and_back_when_it_is_parked_and_placed(tmp_path: Path) -> None:
    store = VersionStore(tmp_path, "m")
    add(store, 1, "one")
    add(store, 2, "two")
    store.park(1)
    assert (store.placed(), store.parked()) == ({2: "two"}, {1: "one"})
    assert versions_on_disk(store.directory) == {2}
    store.place(1)
    assert (store.placed(), store.parked()) == ({1: "one", 2: "two"}, {})


def test_newer_copy_wins_when_the_same_version_is_parked_twice(tmp_path: Path) -> None:
    store = VersionStore(tmp_path, "m")
    add(store, 1, "old")
    store.park(1)
    add(store, 1, "new")
    store.park(1)
    assert store.parked() == {1: "new"}
    assert leftovers(store) == []


def test_version_is_gone_everywhere_when_it_is_removed(tmp_path: Path) -> None:
    store = VersionStore(tmp_path, "m")
    add(store, 1)
    store.park(1)
    add(store, 1)
    store.remove(1)
    store.remove(7)
    assert (store.placed(), store.parked(), leftovers(store)) == ({}, {}, [])


def test_leftovers_are_cleared_when_an_earlier_run_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    for name in (".staging-3", ".trash-2-77"):
        _fill(folder / name, 3)
    store = VersionStore(tmp_path, "m")
    assert leftovers(store) == []


def test_memory_is_kept_when_sync_starts_again(tmp_path: Path) -> None:
    memory = Memory(
        wanted=Wanted(5, "x"), good=4, previous=3, warm=4, failed="broken", loading_since=7.0, next_fetch=9.0
    )
    VersionStore(tmp_path, "m").save_memory(memory)
    assert VersionStore(tmp_path, "m").load_memory() == Memory(
        wanted=Wanted(5, "x"), good=4, previous=3, failed="broken"
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"wanted": 5}', '{"wanted": {"version": "x", "identity": ""}}']
)
def test_memory_starts_anew_when_its_file_is_damaged(tmp_path: Path, text: str) -> None:
    store = VersionStore(tmp_path, "m")
    (store.directory / ".sync.json").write_text(text)
    assert store.load_memory() == Memory()
