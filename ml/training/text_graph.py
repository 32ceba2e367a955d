"""Turns texts into numbers inside the TensorFlow graph, so that the served model takes the client's strings.

Words are hashed into a fixed number of rows instead of looked up in a vocabulary: no word is unknown, there is no table
to ship and initialise, and training and serving cannot disagree.
"""

from __future__ import annotations

from typing import Any, Final

from ml.serving.tensorflow_module import tf

MAXIMUM_WORDS: Final = 256
"""Words after this one are not read: a bound on the work that one text can cause."""
SURFACE_FEATURES: Final = 6

_NOT_A_WORD: Final = r"[^a-z0-9+#]+"
_ENDS_LIKE_A_SENTENCE: Final = r"(?s).*[.!?:)]\s*"
_NOT_PUNCTUATION: Final = r"[^.,;:]"
_HASH_RANGE: Final = 1 << 31


def words_of(texts: Any) -> Any:
    """Return the lower-case words of each text as a ragged tensor of at most `MAXIMUM_WORDS` per row.

    Characters other than ASCII letters, digits, `+` and `#` separate words; bytes that are no UTF-8 count as a word.
    """
    spaced = tf.strings.regex_replace(tf.strings.lower(texts), _NOT_A_WORD, " ")
    return tf.strings.split(spaced)[:, :MAXIMUM_WORDS]


def hashed(terms: Any, rows: int) -> Any:
    """Return the row of an embedding table for each term."""
    return tf.strings.to_hash_bucket_fast(terms, rows)


def word_pairs(words: Any) -> Any:
    """Return each two neighbouring words as one term."""
    return tf.strings.ngrams(words, 2)


def embedding_sum(table: Any, ids: Any) -> Any:
    """Return the sum of the table's rows for each text; zeros for a text without terms."""
    rows = tf.nn.embedding_lookup(table, ids.flat_values)
    return tf.math.unsorted_segment_sum(rows, ids.value_rowids(), ids.nrows())


def term_counts(terms: Any) -> Any:
    """Return the number of terms of each text as a float column, at least 1 so that it can divide."""
    return tf.maximum(tf.cast(terms.row_lengths(), tf.float32), 1.0)[:, tf.newaxis]


def surface_features(texts: Any, words: Any, pairs: Any) -> Any:
    """Return what can be seen of each text without reading it, `SURFACE_FEATURES` columns.

    They are length, share of distinct words and of distinct pairs, letters per word, sentence end, punctuation.
    """
    word_counts, pair_counts = term_counts(words)[:, 0], term_counts(pairs)[:, 0]
    length_bytes = tf.cast(tf.strings.length(texts), tf.float32)
    punctuation = tf.cast(tf.strings.length(tf.strings.regex_replace(texts, _NOT_PUNCTUATION, "")), tf.float32)
    columns = [
        tf.math.log(word_counts),
        _distinct(words) / word_counts,
        _distinct(pairs) / pair_counts,
        tf.math.log1p(length_bytes / word_counts),
        tf.cast(tf.strings.regex_full_match(texts, _ENDS_LIKE_A_SENTENCE), tf.float32),
        tf.math.log1p(punctuation / word_counts),
    ]
    return tf.stack(columns, axis=1)


def _distinct(terms: Any) -> Any:
    """Return how many different terms each text has: distinct pairs of row and term, counted by row."""
    row_offsets = terms.value_rowids() * _HASH_RANGE
    keys, _ = tf.unique(hashed(terms.flat_values, _HASH_RANGE) + row_offsets)
    ones = tf.ones_like(keys, dtype=tf.float32)
    return tf.math.unsorted_segment_sum(ones, keys // _HASH_RANGE, terms.nrows())
