"""Reading the data set, and splitting it so that no test text is learned by heart."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.paths import repo_root
from ml.training.dataset import (
    DatasetError,
    Package,
    bounded_sample,
    dataset_path,
    fingerprint,
    read_packages,
    split_of,
)

RECORD: dict[str, Any] = {
    "package": "python3-example",
    "source": "example",
    "section": "python",
    "description": "short\nlong äöü",
    "homepage": "",
    "priority": "optional",
    "installed_size": 12,
}


def write(path: Path, *records: object, level: int = 9) -> Path:
    with gzip.open(path, "wt", compresslevel=level, encoding="utf-8") as file:
        for record in records:
            file.write((record if isinstance(record, str) else json.dumps(record)) + "\n")
    return path


def package(name: str, source: str = "") -> Package:
    return dataclasses.replace(Package(**RECORD), package=name, source=source or name)


def test_packages_are_read_in_order_when_the_file_is_right(tmp_path: Path) -> None:
    path = write(tmp_path / "d.gz", RECORD, {**RECORD, "package": "other"})
    first, second = read_packages(path)
    assert first == Package(**RECORD)
    assert second.package == "other"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "d.gz:2: not JSON"),
        ("[]", "d.gz:2: expected an object, found list"),
        ({**RECORD, "package": "x", "tags": []}, "d.gz:2: unknown keys ['tags'], missing keys []"),
        ({name: RECORD[name] for name in RECORD if name != "source"}, "unknown keys [], missing keys ['source']"),
        ({**RECORD, "package": "x", "section": 5}, "d.gz:2: section=5: allowed is a string"),
        ({**RECORD, "package": "x", "description": " \n"}, "d.gz:2: description is empty"),
        (
            {**RECORD, "package": "x", "installed_size": -1},
            "installed_size=-1: allowed is an integer of 0 or more",
        ),
        ({**RECORD, "package": "x", "installed_size": True}, "installed_size=True: allowed is an integer"),
        ({**RECORD, "package": "x", "installed_size": "12"}, "installed_size='12': allowed is an integer"),
        (RECORD, "d.gz:2: package 'python3-example' occurs twice"),
    ],
)
def test_line_is_refused_with_place_and_reason_when_it_does_not_fit(
    tmp_path: Path, record: object, message: str
) -> None:
    with pytest.raises(DatasetError) as refused:
        read_packages(write(tmp_path / "d.gz", RECORD, record))
    assert message in str(refused.value)


def test_file_is_refused_when_it_is_missing_empty_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such file; set MLP_DATASET or run images/training/make_dataset\.py"):
        read_packages(tmp_path / "absent.gz")
    with pytest.raises(DatasetError, match="holds no packages"):
        read_packages(write(tmp_path / "empty.gz"))
    (tmp_path / "text.gz").write_text("no gzip file")
    for read in (read_packages, fingerprint):
        with pytest.raises(DatasetError, match="cannot be read as a gzip file"):
            read(tmp_path / "text.gz")
    whole = write(tmp_path / "whole.gz", *({**RECORD, "package": f"p{number}"} for number in range(500))).read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    for read in (read_packages, fingerprint):
        with pytest.raises(DatasetError, match="cannot be read as a gzip file"):
            read(tmp_path / "cut.gz")


def test_fingerprint_tells_contents_apart_and_not_compression_when_it_is_compared(tmp_path: Path) -> None:
    one = fingerprint(write(tmp_path / "a.gz", RECORD, level=1))
    assert one == fingerprint(write(tmp_path / "b.gz", RECORD, level=9))
    assert one != fingerprint(write(tmp_path / "c.gz", {**RECORD, "installed_size": 13}))
    assert len(one) == 64


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_packages_of_one_source_share_a_split(source: str, one: str, other: str) -> None:
    assert split_of(package(one, source)) == split_of(package(other, source))


def test_test_share_is_as_asked_when_packages_are_many() -> None:
    many = [package(f"package-{number}") for number in range(5_000)]
    for percent in (10.0, 20.0, 50.0):
        share = sum(split_of(item, test_percent=percent) == "test" for item in many) / len(many)
        assert abs(share - percent / 100) < 0.02
    with pytest.raises(ValueError, match="test_percent=0"):
        split_of(many[0], test_percent=0)


def test_split_and_sample_are_the_same_when_another_process_makes_them() -> None:
    code = (
        "from tests.ml.training.test_dataset import package;"
        "from ml.training.dataset import bounded_sample, split_of;"
        "many = [package(f'package-{n}') for n in range(200)];"
        "print([p.package for p in bounded_sample(many, limit=9, seed=3)], [split_of(p) for p in many])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=repo_root(),
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_sample_depends_on_seed_and_not_on_order_when_it_is_drawn() -> None:
    many = [package(f"package-{number}") for number in range(100)]
    drawn = bounded_sample(many, limit=10, seed=1)
    assert bounded_sample(list(reversed(many)), limit=10, seed=1) == drawn
    assert bounded_sample(many, limit=10, seed=2) != drawn
    assert (
        bounded_sample(many[:3], limit=10, seed=1) == sorted(many[:3], key=[*drawn, *many].index) or len(many[:3]) == 3
    )
    with pytest.raises(ValueError, match="limit=0"):
        bounded_sample(many, limit=0, seed=1)


def test_path_is_the_images_when_nothing_else_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLP_DATASET", raising=False)
    assert dataset_path() == Path("/data/debian-packages.jsonl.gz")
    monkeypatch.setenv("MLP_DATASET", "/elsewhere.gz")
    assert dataset_path() == Path("/elsewhere.gz")
