"""Modules whose annotations stay text do what they do otherwise, and are not taken for what Python compiles itself."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from ml.cli.policy.rendering import render
from policies import sources
from policies.render.__main__ import graph, lines
from policies.render.unevaluated import Unevaluated, unevaluated
from tests.support.stacks import ROOT

SOURCE = "import typing\n\ndef double(of: typing.Optional[int]) -> 'float':\n    return of * 2\n"
TYPES = {"of": typing.Optional[int], "return": float}  # noqa: UP045 - what the module says


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module's file, on a machine that keeps what is compiled."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "doubling.py"
    file.write_text(SOURCE)
    return file


def ordinary(file: Path) -> SourceFileLoader:
    return SourceFileLoader(file.stem, str(file))


def load(loader: SourceFileLoader) -> ModuleType:
    spec = importlib.util.spec_from_file_location(loader.name, loader.path, loader=loader)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    loader.exec_module(made)
    return made


def kept(file: Path) -> set[str]:
    folder = file.parent / "__pycache__"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_annotations_are_text_until_they_are_asked_for(module: Path) -> None:
    double = load(unevaluated(ordinary(module))).double
    assert double.__annotations__ == {"of": "typing.Optional[int]", "return": "'float'"}
    assert typing.get_type_hints(double) == TYPES
    assert double(3) == 6


def test_neither_way_of_loading_uses_what_the_other_has_kept(module: Path) -> None:
    load(unevaluated(ordinary(module)))
    first = kept(module)
    assert load(ordinary(module)).double.__annotations__ == {"of": TYPES["of"], "return": "float"}
    assert len(first) == 1
    assert len(kept(module) - first) == 1
    assert load(unevaluated(ordinary(module))).double.__annotations__["of"] == "typing.Optional[int]"


def test_a_changed_module_is_compiled_again(module: Path) -> None:
    load(unevaluated(ordinary(module)))
    module.write_text(SOURCE.replace("* 2", "* 20"))
    os.utime(module, (1, 1))
    assert load(unevaluated(ordinary(module))).double(3) == 60


def test_python_loads_as_ever_when_compiling_would_be_repeated_each_time(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not isinstance(unevaluated(ordinary(module)), Unevaluated)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    load(unevaluated(ordinary(module)))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert isinstance(unevaluated(ordinary(module)), Unevaluated), "kept by an earlier run"


def test_python_loads_as_ever_when_nothing_may_be_written_beside_the_module(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(path: Path, mode: int) -> bool:
        assert (path, mode) == (module.parent, os.W_OK)
        return False

    monkeypatch.setattr(os, "access", never)
    assert not isinstance(unevaluated(ordinary(module)), Unevaluated)


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_a_stack_declares_the_same_when_its_sdks_are_loaded_as_ever(stack: str) -> None:
    quick = render(stack)
    as_ever = sources.from_lines("\n".join(lines(graph(stack, ROOT))))
    assert len(quick) > 50
    assert sorted(quick, key=lambda item: item.title) == sorted(as_ever, key=lambda item: item.title)
