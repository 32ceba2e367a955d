"""Judges a trained model against stated baselines, on texts of source packages it has never seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from ml.training import baselines, metrics
from ml.training.examples import Example, labels_of, targets_of, texts_of
from ml.training.metrics import Floats, Labels
from ml.training.topics import TOPICS

ACCURACY_MARGIN: Final = 0.02
MACRO_F1_MARGIN: Final = 0.02
"""By how much the classifier must be better than the better of its baselines."""
ERROR_RATIO: Final = 0.8
"""The quality model's mean absolute error must be at most this share of the better baseline's."""
SPEARMAN_MARGIN: Final = 0.2
"""By how much the quality model's rank correlation must be higher than the better baseline's."""


class ModelBelowBaselineError(RuntimeError):
    """The model is not enough better than a simple answer to be worth serving."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Figures of a model and its baselines, and what of the demanded margins was missed.

    Attributes:
        metrics: name to value; baselines' figures are named `baseline_<name>_<figure>`.
        shortfalls: one sentence for each missed margin; empty if the model may be served.
    """

    metrics: dict[str, float]
    shortfalls: tuple[str, ...]

    def require_success(self, model: str) -> None:
        """Raise ModelBelowBaselineError, naming every figure that falls short, unless there is none."""
        if self.shortfalls:
            raise ModelBelowBaselineError(f"{model} must not be served: {'; '.join(self.shortfalls)}")


def evaluate_topics(train: Sequence[Example], test: Sequence[Example], predicted: Labels) -> Evaluation:
    """Return how well topics were predicted, next to the most frequent topic and a linear bag of words."""
    truth, train_labels = labels_of(test), labels_of(train)
    bag_of_words = baselines.BagOfWordsClassifier(texts_of(train), train_labels, classes=len(TOPICS))
    answers = {
        "": predicted,
        "baseline_majority_": baselines.majority_labels(train_labels, len(test)),
        "baseline_bag_of_words_": bag_of_words.predict(texts_of(test)),
    }
    figures = {"test_examples": float(len(test)), "train_examples": float(len(train))}
    for prefix, labels in answers.items():
        figures[f"{prefix}accuracy"] = metrics.accuracy(truth, labels)
        figures[f"{prefix}macro_f1"] = metrics.macro_f1(truth, labels, classes=len(TOPICS))
    shortfalls = [
        *_must_exceed(figures, "accuracy", ACCURACY_MARGIN),
        *_must_exceed(figures, "macro_f1", MACRO_F1_MARGIN),
    ]
    return Evaluation(figures, tuple(shortfalls))


def evaluate_quality(train: Sequence[Example], test: Sequence[Example], predicted: Floats) -> Evaluation:
    """Return how well quality was predicted, next to the best constant and a regression on the texts' surface."""
    truth, train_targets = targets_of(test), targets_of(train)
    surface = baselines.SurfaceRegressor(texts_of(train), train_targets)
    answers = {
        "": predicted.astype(np.float64),
        "baseline_constant_": baselines.constant_quality(train_targets, len(test)),
        "baseline_surface_": surface.predict(texts_of(test)),
    }
    figures = {"test_examples": float(len(test)), "train_examples": float(len(train))}
    for prefix, scores in answers.items():
        figures[f"{prefix}mean_absolute_error"] = metrics.mean_absolute_error(truth, scores)
        figures[f"{prefix}spearman"] = metrics.spearman(truth, scores)
    best_error = min(_of_baselines(figures, "mean_absolute_error"))
    shortfalls = _must_exceed(figures, "spearman", SPEARMAN_MARGIN)
    if figures["mean_absolute_error"] > ERROR_RATIO * best_error:
        shortfalls.append(
            f"mean_absolute_error {figures['mean_absolute_error']:.3f}, at most {ERROR_RATIO * best_error:.3f} needed "
            f"({ERROR_RATIO} of the best baseline's {best_error:.3f})"
        )
    return Evaluation(figures, tuple(shortfalls))


def _of_baselines(figures: dict[str, float], figure: str) -> list[float]:
    return [value for name, value in figures.items() if name.startswith("baseline_") and name.endswith(f"_{figure}")]


def _must_exceed(figures: dict[str, float], figure: str, margin: float) -> list[str]:
    best = max(_of_baselines(figures, figure))
    if figures[figure] >= best + margin:
        return []
    return [
        f"{figure} {figures[figure]:.3f}, at least {best + margin:.3f} needed (best baseline {best:.3f} + {margin})"
    ]
