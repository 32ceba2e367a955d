"""The training loop both models share: seeded, bounded and with one line of progress per pass."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.serving.tensorflow_module import tf
from ml.training.examples import Example, targets_of, texts_of

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the training texts.
        batch_size: texts per step.
        learning_rate: step size of Adam.
        seed: decides initial weights, order and dropout; the same seed gives the same model on the same machine type.
    """

    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 0.005
    seed: int = 1


class TrainableModel(Protocol):
    """A model that the loop can fit."""

    @property
    def trainable_variables(self) -> Sequence[Any]:
        """The weights."""
        ...

    def features(self, texts: Any) -> tuple[Any, ...]:
        """Return what the model reads of the texts; it has no weights, so it is computed once per text."""
        ...

    def adapt(self, features: tuple[Any, ...]) -> None:
        """Take what must be known of all training texts before the first step, such as scales."""
        ...

    def loss(self, features: tuple[Any, ...], targets: Any) -> Any:
        """Return the mean loss of one batch, with dropout."""
        ...


def make_deterministic(seed: int) -> None:
    """Seed every generator and forbid operations whose result depends on thread timing."""
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(model: TrainableModel, examples: Sequence[Example], settings: FitSettings, progress: Progress) -> list[float]:
    """Fit the model and return the mean loss of each pass.

    Raises:
        ValueError: there are no examples, or the loss is not a number.
    """
    if not examples:
        raise ValueError("no training examples: the data set holds none of the sections or lengths that are needed")
    features = model.features(tf.constant(texts_of(examples)))
    targets = tf.constant(targets_of(examples), dtype=tf.float32)
    model.adapt(features)
    step = _make_step(model, settings.learning_rate)
    order = np.random.default_rng(settings.seed)
    losses: list[float] = []
    for epoch in range(1, settings.epochs + 1):
        started = time.monotonic()
        losses.append(_run_epoch(step, features, targets, order.permutation(len(examples)), settings.batch_size))
        progress(f"pass {epoch} of {settings.epochs}: loss {losses[-1]:.4f} ({time.monotonic() - started:.1f} s)")
        if not np.isfinite(losses[-1]):
            raise ValueError(
                f"the loss is {losses[-1]} after pass {epoch}: lower learning_rate={settings.learning_rate}"
            )
    return losses


def _make_step(model: TrainableModel, learning_rate: float) -> Any:
    variables = list(model.trainable_variables)
    optimizer = tf.keras.optimizers.Adam(learning_rate)
    optimizer.build(variables)

    def step(features: tuple[Any, ...], targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.loss(features, targets)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return tf.function(step, reduce_retracing=True)


def _run_epoch(step: Any, features: tuple[Any, ...], targets: Any, order: NDArray[np.int64], batch_size: int) -> float:
    losses: list[float] = []
    for start in range(0, len(order), batch_size):
        chosen = tf.constant(order[start : start + batch_size])
        batch = tuple(tf.gather(feature, chosen) for feature in features)
        losses.append(float(step(batch, tf.gather(targets, chosen))))
    return float(np.mean(losses))
