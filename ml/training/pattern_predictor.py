"""`research_pattern_predictor`: says which topic a text is about, from its words and pairs of neighbouring words."""

from __future__ import annotations

from typing import Any, Final

from ml.contracts import SERVING_INPUT
from ml.serving.tensorflow_module import tf
from ml.training import text_graph
from ml.training.topics import TOPICS

_TABLE_ROWS: Final = 1 << 16
_EMBEDDING_WIDTH: Final = 32
_DROPOUT: Final = 0.3


class PatternPredictor(tf.Module):
    """An embedding bag and one dense layer.

    Every word and pair has a learned vector; a text is their sum, divided by the root of their number so that long
    texts do not shout, and the dense layer turns it into one score per topic.
    """

    def __init__(self) -> None:
        super().__init__(name="pattern_predictor")  # pyright: ignore[reportUnknownMemberType] TensorFlow has no types
        self.table: Any = tf.Variable(tf.random.uniform((_TABLE_ROWS, _EMBEDDING_WIDTH), -0.05, 0.05), name="table")
        self.weights: Any = tf.Variable(tf.random.normal((_EMBEDDING_WIDTH, len(TOPICS)), stddev=0.1), name="weights")
        self.bias: Any = tf.Variable(tf.zeros(len(TOPICS)), name="bias")
        self.topics: Any = tf.constant(TOPICS)

    def features(self, texts: Any) -> tuple[Any, ...]:
        """Return the table rows of each text's words and pairs."""
        words = text_graph.words_of(texts)
        return (text_graph.hashed(tf.concat([words, text_graph.word_pairs(words)], axis=1), _TABLE_ROWS),)

    def adapt(self, features: tuple[Any, ...]) -> None:
        """Take nothing: rows of a table need no scale."""

    def loss(self, features: tuple[Any, ...], targets: Any) -> Any:
        """Return the mean cross entropy."""
        logits = self._logits(features, dropout=_DROPOUT)
        labels = tf.cast(targets, tf.int32)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))

    def serve(self, texts: Any) -> dict[str, Any]:
        """Return each text's best topic, its probability, and the probabilities in the order of `TOPICS`."""
        scores = tf.nn.softmax(self._logits(self.features(texts)))
        return {
            "label": tf.gather(self.topics, tf.argmax(scores, axis=1)),
            "confidence": tf.reduce_max(scores, axis=1),
            "scores": scores,
        }

    def serving_function(self) -> Any:
        """Return `serve` for a vector of strings named as every client names it."""
        return tf.function(self.serve, input_signature=[tf.TensorSpec([None], tf.string, name=SERVING_INPUT)])

    def _logits(self, features: tuple[Any, ...], dropout: float = 0.0) -> Any:
        (ids,) = features
        hidden = text_graph.embedding_sum(self.table, ids) / tf.sqrt(text_graph.term_counts(ids))
        if dropout:
            hidden = tf.nn.dropout(hidden, dropout)
        return tf.matmul(hidden, self.weights) + self.bias
