"""What a model must beat to be worth serving: the simplest answers, and the simplest learners, in numpy."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from ml.training.metrics import Floats, Labels

_WORD: Final = re.compile(r"[a-z0-9+#]+")
_SMOOTHING: Final = 1.0


def words_of(text: str) -> list[str]:
    """Return the lower-case words of a text, as the models see them."""
    return _WORD.findall(text.lower())


def majority_labels(train_labels: Labels, count: int) -> Labels:
    """Return `count` times the label that is most frequent in training."""
    return np.full(count, int(np.argmax(np.bincount(train_labels))), dtype=np.int64)


class BagOfWordsClassifier:
    """Multinomial naive Bayes: a linear classifier over word counts, fitted by counting."""

    def __init__(self, texts: Sequence[str], labels: Labels, *, classes: int) -> None:
        documents = [words_of(text) for text in texts]
        vocabulary = sorted({word for words in documents for word in words})
        self._columns: dict[str, int] = {word: column for column, word in enumerate(vocabulary)}
        counts = np.full((classes, len(vocabulary)), _SMOOTHING)
        for words, label in zip(documents, labels, strict=True):
            np.add.at(counts[label], [self._columns[word] for word in words], 1.0)
        self._weights: Floats = np.log(counts / counts.sum(axis=1, keepdims=True))
        self._bias: Floats = np.log((np.bincount(labels, minlength=classes) + _SMOOTHING) / (len(labels) + classes))

    def predict(self, texts: Sequence[str]) -> Labels:
        """Return the most probable label of each text; unknown words say nothing."""
        return np.array([self._predict_one(text) for text in texts], dtype=np.int64)

    def _predict_one(self, text: str) -> int:
        columns = [self._columns[word] for word in words_of(text) if word in self._columns]
        return int(np.argmax(self._bias + self._weights[:, columns].sum(axis=1)))


class SurfaceRegressor:
    """Least squares on what can be seen without reading: length and share of distinct words."""

    def __init__(self, texts: Sequence[str], qualities: Floats) -> None:
        self._weights: Floats = np.linalg.lstsq(_surface(texts), qualities, rcond=None)[0].astype(np.float64)

    def predict(self, texts: Sequence[str]) -> Floats:
        """Return a quality in [0, 1] for each text."""
        return np.clip(_surface(texts) @ self._weights, 0.0, 1.0)


def constant_quality(train_qualities: Floats, count: int) -> Floats:
    """Return `count` times the median quality, the constant with the least absolute error."""
    return np.full(count, float(np.median(train_qualities)))


def _surface(texts: Sequence[str]) -> Floats:
    rows: list[list[float]] = []
    for text in texts:
        words = words_of(text)
        rows.append([1.0, math.log1p(len(words)), len(set(words)) / max(1, len(words))])
    return np.array(rows, dtype=np.float64)
