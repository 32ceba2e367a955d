"""Real text to train on: the descriptions of Debian's package index, one package per line.

The file is gzip-compressed JSON lines, made by `images/training/make_dataset.py`. Each line has exactly the keys of
`Package`. Nothing is guessed or repaired here: a line that does not fit is an error that names the line and the key.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, cast

DATASET_VARIABLE: Final = "MLP_DATASET"
DEFAULT_DATASET: Final = "/data/debian-packages.jsonl.gz"

Split = Literal["train", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "test")

_SPLIT_BUCKETS: Final = 1_000
_FINGERPRINT_CHUNK_BYTES: Final = 1 << 20


class DatasetError(ValueError):
    """The data set is missing, damaged or not in the agreed form."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    """One package of the index.

    Attributes:
        package: name of the binary package.
        source: name of the source package; binaries of one source share most of their description.
        section: Debian's topic, for example `python` or `games`.
        description: short line, then the long text.
        homepage: address of the upstream project, or empty.
        priority: Debian's priority, for example `optional`.
        installed_size: disk space after installation in KiB, 0 where the index does not say.
    """

    package: str
    source: str
    section: str
    description: str
    homepage: str
    priority: str
    installed_size: int


_FIELDS: Final = {field.name: field for field in dataclasses.fields(Package)}
_REQUIRED_TEXT: Final = ("package", "source", "section", "description")


def dataset_path() -> Path:
    """Return where the data set is: environment variable MLP_DATASET, else the path in the training image."""
    return Path(os.environ.get(DATASET_VARIABLE, DEFAULT_DATASET))


def read_packages(path: Path) -> list[Package]:
    """Return all packages of the data set, in the file's order.

    Raises:
        DatasetError: the file is missing or damaged, a line does not fit the form, or a package occurs twice.
    """
    packages: list[Package] = []
    seen: set[str] = set()
    for number, line in _lines(path):
        package = _parse_line(path, number, line)
        if package.package in seen:
            raise DatasetError(f"{path}:{number}: package {package.package!r} occurs twice")
        seen.add(package.package)
        packages.append(package)
    if not packages:
        raise DatasetError(f"{path}: holds no packages")
    return packages


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the file's uncompressed content, so that recompression does not change it.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(_FINGERPRINT_CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def split_of(package: Package, *, test_percent: float = 20.0, salt: str = "split-v1") -> Split:
    """Return the part that a package belongs to, decided by a hash of its source package's name.

    All binaries of a source fall into the same part, else near copies of test texts would be learned by heart.
    The choice does not depend on order, on the other packages or on the Python process.
    """
    if not 0.0 < test_percent < 100.0:
        raise ValueError(f"test_percent={test_percent}: allowed is more than 0 and less than 100")
    return "test" if _bucket(f"{salt}:{package.source}") < test_percent / 100.0 * _SPLIT_BUCKETS else "train"


def bounded_sample(packages: Sequence[Package], *, limit: int, seed: int) -> list[Package]:
    """Return at most `limit` packages, chosen by a seeded hash of their names and in the order of that hash."""
    if limit < 1:
        raise ValueError(f"limit={limit}: allowed is 1 or more")
    return sorted(packages, key=lambda package: _digest(f"{seed}:{package.package}"))[:limit]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _bucket(text: str) -> int:
    return int.from_bytes(_digest(text)[:8], "big") % _SPLIT_BUCKETS


def _unreadable(path: Path, error: Exception) -> DatasetError:
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path}: no such file; set {DATASET_VARIABLE} or run images/training/make_dataset.py")
    return DatasetError(f"{path}: cannot be read as a gzip file: {error}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from enumerate(file, start=1)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _parse_line(path: Path, number: int, line: str) -> Package:
    where = f"{path}:{number}"
    try:
        parsed: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{where}: not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise DatasetError(f"{where}: expected an object, found {type(parsed).__name__}")
    record = cast("dict[str, object]", parsed)
    unknown, missing = sorted(record.keys() - _FIELDS.keys()), sorted(_FIELDS.keys() - record.keys())
    if unknown or missing:
        raise DatasetError(f"{where}: unknown keys {unknown}, missing keys {missing}; allowed are {sorted(_FIELDS)}")
    for name in _FIELDS:
        _check_value(where, name, record[name])
    return Package(**cast("dict[str, str]", record))  # pyright: ignore[reportArgumentType] checked value by value above


def _check_value(where: str, name: str, value: object) -> None:
    if name == "installed_size":
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise DatasetError(f"{where}: {name}={value!r}: allowed is an integer of 0 or more (KiB)")
    elif not isinstance(value, str):
        raise DatasetError(f"{where}: {name}={value!r}: allowed is a string")
    elif name in _REQUIRED_TEXT and not value.strip():
        raise DatasetError(f"{where}: {name} is empty")
