"""Files of experiments as columns of numbers: CSV or Parquet, one row per user or request."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.experiments.validation import FloatArray, IntArray

_READERS = {".csv": ("pyarrow.csv", "read_csv"), ".parquet": ("pyarrow.parquet", "read_table")}


class UnreadableFileError(ValueError):
    """The file cannot be analysed; the message says what and what to do."""


@dataclass(frozen=True)
class Table:
    """Columns of a file.

    Attributes:
        numbers: numeric columns, NaN where a cell is empty.
        labels: text columns (and whole numbers) as codes into `names`.
        names: the distinct values of each label column, sorted.
        rows: number of rows.
    """

    numbers: Mapping[str, FloatArray]
    labels: Mapping[str, IntArray]
    names: Mapping[str, tuple[str, ...]]
    rows: int


def read_table(path: Path) -> Table:
    """Read a CSV or Parquet file.

    Raises:
        UnreadableFileError: the file does not exist, has another ending, no rows, or cannot be parsed.
    """
    if path.suffix.lower() not in _READERS:
        raise UnreadableFileError(f"{path}: allowed are files that end in {' or '.join(_READERS)}")
    if not path.is_file():
        raise UnreadableFileError(f"{path}: no such file")
    module_name, function = _READERS[path.suffix.lower()]
    try:
        reader: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise UnreadableFileError(f"{path}: pyarrow is not installed; install the `report` extra") from error
    try:
        data: Any = getattr(reader, function)(str(path))
    except (OSError, ValueError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFileError(f"{path}: not a readable {path.suffix[1:]} file ({first_line})") from error
    if data.num_rows == 0:
        raise UnreadableFileError(f"{path}: allowed is a file with at least one row")
    return _table(data)


def _table(data: Any) -> Table:
    numbers: dict[str, FloatArray] = {}
    labels: dict[str, IntArray] = {}
    names: dict[str, tuple[str, ...]] = {}
    for name in data.column_names:
        column: list[Any] = data.column(name).to_pylist()
        if all(value is None or isinstance(value, int | float) for value in column):
            # True and False are numbers here: 1 and 0.
            numbers[name] = np.array([np.nan if value is None else float(value) for value in column])
        if not any(isinstance(value, float) for value in column):
            texts = np.array(["" if value is None else str(value) for value in column])
            distinct, codes = np.unique(texts, return_inverse=True)
            labels[name] = np.asarray(codes, dtype=np.int64)
            names[name] = tuple(str(value) for value in distinct)
    return Table(numbers, labels, names, int(data.num_rows))
