from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from local.toolchain.cache import Cache, key
from local.toolchain.catalog import GoTool, ModuleFile

TOOL = GoTool(name="thing", version="1.2.3", packages={"thing": "example.com/thing"}, folder="thing")


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    for name in ("thing", "other"):
        (tmp_path / "modules" / name).mkdir(parents=True)
        (tmp_path / "modules" / name / "go.mod").write_text("module thing\n")
        (tmp_path / "modules" / name / "go.sum").write_text("sum\n")
    return tmp_path / "modules"


@pytest.fixture
def cache(tmp_path: Path, modules: Path) -> Cache:
    return Cache(tmp_path / "toolchain", modules)


def test_key_is_the_same_when_nothing_changed(modules: Path) -> None:
    assert key(TOOL, modules) == key(dataclasses.replace(TOOL), modules)
    assert len(key(TOOL, modules)) == 8


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_key_changes_when_a_pin_changes(modules: Path, name: str) -> None:
    before = key(TOOL, modules)
    (modules / "thing" / name).write_text("changed\n")
    assert key(TOOL, modules) != before


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(TOOL, packages={"thing": "example.com/else"}),
        dataclasses.replace(TOOL, packages={"renamed": "example.com/thing"}),
        dataclasses.replace(TOOL, link_flags="-X a=b"),
        dataclasses.replace(TOOL, files={"script": ModuleFile("thing", "example.com/m", "p")}),
    ],
)
def test_key_changes_when_the_build_changes(modules: Path, changed: GoTool) -> None:
    assert key(changed, modules) != key(TOOL, modules)


def test_key_changes_when_the_pin_of_a_further_file_changes(modules: Path) -> None:
    tool = dataclasses.replace(TOOL, files={"script": ModuleFile("other", "example.com/m", "p")})
    before = key(tool, modules)
    (modules / "other" / "go.sum").write_text("changed\n")
    assert key(tool, modules) != before


def test_tool_is_found_when_it_was_added(cache: Cache) -> None:
    assert cache.find(TOOL) is None
    with cache.adding(TOOL) as binaries:
        (binaries / "thing").write_text("binary")
    found = cache.find(TOOL)
    assert found is not None
    assert found["thing"].read_text() == "binary"
    assert found["thing"].parent.parent.name.startswith("thing-1.2.3-")


def test_nothing_is_left_when_adding_fails(cache: Cache) -> None:
    def add_half() -> None:
        with cache.adding(TOOL) as binaries:
            (binaries / "thing").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_half()
    assert cache.find(TOOL) is None
    assert list(cache.lock.parent.iterdir()) == []


def test_tool_is_replaced_when_it_was_incomplete(cache: Cache) -> None:
    (cache.place(TOOL) / "bin").mkdir(parents=True)
    assert cache.find(TOOL) is None
    with cache.adding(TOOL) as binaries:
        (binaries / "thing").write_text("binary")
    assert cache.find(TOOL) is not None


def test_tool_from_path_is_looked_for_again_when_it_changed(cache: Cache, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.write_text("version 1")
    with cache.adding(TOOL) as binaries:
        (binaries / "thing").symlink_to(installed)
    assert cache.find(TOOL) is not None
    installed.write_text("version two")
    assert cache.find(TOOL) is None
    installed.unlink()
    assert cache.find(TOOL) is None


def test_interrupted_work_is_removed_when_the_next_run_begins(cache: Cache) -> None:
    left = cache.lock.parent / ".unfinished-abc"
    left.mkdir(parents=True)
    cache.remove_unfinished()
    assert not left.exists()
