"""The training data set's writer: format, order, and the same bytes for the same index."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from local.paths import repo_root

_PACKAGES = """Package: zeta
Source: greek (1.2-3)
Section: non-free/science
Description-md5: 01
Installed-Size: 12
Homepage: https://zeta.example
Priority: optional
Description: short zeta

Package: alpha
Section: python
Description-md5: 02
Description: short alpha
"""
_TRANSLATIONS = """Package: alpha
Description-md5: 02
Description-en: short alpha
 First line of alpha.
 .
   indented
 last\u00e9

Package: zeta
Description-md5: 01
Description-en: short zeta
 Long.
 .
"""


def _load() -> ModuleType:
    path = repo_root() / "images" / "training" / "make_dataset.py"
    spec = importlib.util.spec_from_file_location("make_dataset", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_MODULE = _load()


def _paragraphs(text: str) -> list[dict[str, str]]:
    return list(_MODULE.paragraphs(text.splitlines(keepends=True)))


def _records() -> list[dict[str, str | int]]:
    return _MODULE.records(_paragraphs(_PACKAGES), _paragraphs(_TRANSLATIONS))


def test_records_are_sorted_and_complete_when_fields_are_absent() -> None:
    assert _records() == [
        {
            "package": "alpha",
            "source": "alpha",
            "section": "python",
            "description": "short alpha\nFirst line of alpha.\n\n  indented\nlast\u00e9",
            "homepage": "",
            "priority": "",
            "installed_size": 0,
        },
        {
            "package": "zeta",
            "source": "greek",
            "section": "science",
            "description": "short zeta\nLong.",
            "homepage": "https://zeta.example",
            "priority": "optional",
            "installed_size": 12,
        },
    ]


def test_the_bytes_are_the_same_when_written_twice(tmp_path: Path) -> None:
    first, second = tmp_path / "first.gz", tmp_path / "second.gz"
    _MODULE.write(_records(), first)
    _MODULE.write(_records(), second)

    assert first.read_bytes() == second.read_bytes()
    lines = gzip.decompress(first.read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines] == _records()
    assert "last\u00e9" in lines[0]
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_the_error_names_the_package_when_its_description_is_missing() -> None:
    translations = [entry for entry in _paragraphs(_TRANSLATIONS) if entry["Package"] != "zeta"]

    with pytest.raises(_MODULE.DatasetError, match="package zeta: no description"):
        _MODULE.records(_paragraphs(_PACKAGES), translations)
