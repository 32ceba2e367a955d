"""An image's name changes when, and only when, something changes that goes into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.images.identity import InputFile, input_files, inputs_hash


def _hash(
    text: str = "FROM scratch",
    files: list[InputFile] | None = None,
    parents: dict[str, str] | None = None,
    recipe: str = "1",
) -> str:
    return inputs_hash(text, files or [], parents or {}, recipe)


def _tree(root: Path, **content: str) -> Path:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_hash_is_the_same_when_nothing_changed_but_order_and_time(tmp_path: Path) -> None:
    folder = _tree(tmp_path, a="1", b="2")
    before = input_files("x", folder)
    (folder / "a").touch()

    assert _hash(files=before) == _hash(files=list(reversed(input_files("x", folder))))
    assert _hash(parents={"A": "1", "B": "2"}) == _hash(parents={"B": "2", "A": "1"})


def test_the_hash_is_another_when_any_input_changes(tmp_path: Path) -> None:
    folder = _tree(tmp_path, a="1")
    seen = {_hash(files=input_files("x", folder)), _hash(files=input_files("y", folder))}
    (folder / "a").write_text("2")
    seen.add(_hash(files=input_files("x", folder)))
    (folder / "a").chmod(0o755)
    seen.add(_hash(files=input_files("x", folder)))
    _tree(folder, b="")
    seen.add(_hash(files=input_files("x", folder)))
    seen |= {
        _hash(),
        _hash(text="FROM  scratch"),
        _hash(recipe="2"),
        _hash(parents={"A": "1"}),
        _hash(parents={"A": "2"}),
    }

    assert len(seen) == 10


def test_byte_code_and_tool_caches_do_not_count_when_a_folder_is_copied(tmp_path: Path) -> None:
    folder = _tree(tmp_path, **{"a.py": "", "__pycache__/a.pyc": "x", "b.pyc": "x", "c/.ruff_cache/d": "x"})

    assert [file.path for file in input_files("ml", folder)] == ["ml/a.py"]


def test_a_missing_or_empty_source_is_an_error_when_collected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="ml: nothing at"):
        input_files("ml", tmp_path)
    with pytest.raises(FileNotFoundError, match="ml: nothing at"):
        input_files("ml", tmp_path / "absent")
