"""`content_quality_model`: scores how well formed a text is, from its words, their order and its surface."""

from __future__ import annotations

from typing import Any, Final

from ml.contracts import SERVING_INPUT
from ml.serving.tensorflow_module import tf
from ml.training import text_graph

_TABLE_ROWS: Final = 1 << 16
_EMBEDDING_WIDTH: Final = 16
_HIDDEN_WIDTH: Final = 32
_INPUT_WIDTH: Final = 2 * _EMBEDDING_WIDTH + text_graph.SURFACE_FEATURES
_DROPOUT: Final = 0.1
_LEAST_DEVIATION: Final = 1e-3


class QualityModel(tf.Module):
    """Two embedding bags (words; pairs, which know the order), surface features, and a small dense network."""

    def __init__(self) -> None:
        super().__init__(name="quality_model")  # pyright: ignore[reportUnknownMemberType] TensorFlow has no types
        shape = (_TABLE_ROWS, _EMBEDDING_WIDTH)
        self.word_table: Any = tf.Variable(tf.random.uniform(shape, -0.05, 0.05), name="word_table")
        self.pair_table: Any = tf.Variable(tf.random.uniform(shape, -0.05, 0.05), name="pair_table")
        self.hidden_weights: Any = _dense((_INPUT_WIDTH, _HIDDEN_WIDTH), "hidden_weights")
        self.hidden_bias: Any = tf.Variable(tf.zeros(_HIDDEN_WIDTH), name="hidden_bias")
        self.output_weights: Any = _dense((_HIDDEN_WIDTH, 1), "output_weights")
        self.output_bias: Any = tf.Variable(tf.zeros(1), name="output_bias")
        self.mean: Any = tf.Variable(tf.zeros(text_graph.SURFACE_FEATURES), trainable=False, name="mean")
        self.deviation: Any = tf.Variable(tf.ones(text_graph.SURFACE_FEATURES), trainable=False, name="deviation")

    def features(self, texts: Any) -> tuple[Any, ...]:
        """Return table rows of words and of pairs, and the surface features."""
        words = text_graph.words_of(texts)
        pairs = text_graph.word_pairs(words)
        surface = text_graph.surface_features(texts, words, pairs)
        return text_graph.hashed(words, _TABLE_ROWS), text_graph.hashed(pairs, _TABLE_ROWS), surface

    def adapt(self, features: tuple[Any, ...]) -> None:
        """Take mean and deviation of the surface features, so that they weigh alike."""
        surface = features[2]
        self.mean.assign(tf.reduce_mean(surface, axis=0))
        self.deviation.assign(tf.maximum(tf.math.reduce_std(surface, axis=0), _LEAST_DEVIATION))

    def loss(self, features: tuple[Any, ...], targets: Any) -> Any:
        """Return the mean cross entropy between quality and score."""
        logits = self._logits(features, dropout=_DROPOUT)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits))

    def serve(self, texts: Any) -> dict[str, Any]:
        """Return each text's score in [0, 1] and the number of words it rests on."""
        features = self.features(texts)
        return {"score": tf.sigmoid(self._logits(features)), "words": tf.cast(features[0].row_lengths(), tf.int32)}

    def serving_function(self) -> Any:
        """Return `serve` for a vector of strings named as every client names it."""
        return tf.function(self.serve, input_signature=[tf.TensorSpec([None], tf.string, name=SERVING_INPUT)])

    def _logits(self, features: tuple[Any, ...], dropout: float = 0.0) -> Any:
        words, pairs, surface = features
        inputs = tf.concat(
            [
                text_graph.embedding_sum(self.word_table, words) / text_graph.term_counts(words),
                text_graph.embedding_sum(self.pair_table, pairs) / text_graph.term_counts(pairs),
                (surface - self.mean) / self.deviation,
            ],
            axis=1,
        )
        if dropout:
            inputs = tf.nn.dropout(inputs, dropout)
        hidden = tf.nn.relu(tf.matmul(inputs, self.hidden_weights) + self.hidden_bias)
        return tf.squeeze(tf.matmul(hidden, self.output_weights) + self.output_bias, axis=1)


def _dense(shape: tuple[int, int], name: str) -> Any:
    return tf.Variable(tf.random.normal(shape, stddev=shape[0] ** -0.5), name=name)
