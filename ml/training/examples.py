"""What a model learns from and is measured on, and the files that carry it from one step to the next."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ml.training.metrics import Floats, Labels


@dataclasses.dataclass(frozen=True)
class Example:
    """A text and what the model should say about it.

    Attributes:
        text: the text as a client would send it.
        target: a class's position in its model's list of classes, or a quality in [0, 1].
    """

    text: str
    target: float


def texts_of(examples: Iterable[Example]) -> list[str]:
    """Return the texts in order."""
    return [example.text for example in examples]


def targets_of(examples: Iterable[Example]) -> Floats:
    """Return the targets in order, as numbers."""
    return np.array([example.target for example in examples], dtype=np.float64)


def labels_of(examples: Iterable[Example]) -> Labels:
    """Return the targets in order, as class positions."""
    return targets_of(examples).astype(np.int64)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write one JSON array `[text, target]` per line."""
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(json.dumps([example.text, example.target], ensure_ascii=False) + "\n")


def read_examples(path: Path) -> list[Example]:
    """Return what `write_examples` wrote."""
    with path.open(encoding="utf-8") as file:
        return [Example(*json.loads(line)) for line in file]
