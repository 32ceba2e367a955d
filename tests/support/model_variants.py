"""SavedModels with a known fault, which the platform has to notice on live traffic: slow, failing, or neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ml.contracts import SERVING_INPUT
from ml.serving.export import SERVING_SIGNATURE
from ml.serving.tensorflow_module import tf

_NO_DEFLATE_STREAM: Final = b"this is no compressed text"


def write_variant(directory: Path, *, delay_millis: int = 0, failing_share: float = 0.0) -> None:
    """Write a model that scores every text alike, after a delay, and fails with an internal error at random.

    The delay takes no CPU: a batch that never fills waits for its time-out. The error is TensorFlow's own data loss.
    """
    signature = _signature(delay_millis, failing_share)
    tf.saved_model.save(tf.Module(), str(directory), signatures={SERVING_SIGNATURE: signature})


def _signature(delay_millis: int, failing_share: float) -> Any:
    wait = _waiting(delay_millis) if delay_millis else _identity

    def serve(texts: Any) -> dict[str, Any]:
        lengths = tf.cast(tf.strings.length(wait(texts)), tf.float32)
        fails = tf.random.uniform([]) < failing_share
        # Only the branch taken is run.
        penalty = tf.cond(fails, _fail, lambda: tf.constant(0.0))
        return {"score": lengths * 0.0 + 0.5 + penalty}

    return tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name=SERVING_INPUT)])


def _fail() -> Any:
    text = tf.io.decode_compressed(tf.constant(_NO_DEFLATE_STREAM), compression_type="ZLIB")
    return tf.cast(tf.strings.length(text), tf.float32)


def _identity(texts: Any) -> Any:
    return texts


def _waiting(delay_millis: int) -> Callable[[Any], Any]:
    batched: Any = tf.nondifferentiable_batch_function(
        num_batch_threads=4, max_batch_size=1_000, batch_timeout_micros=delay_millis * 1_000
    )
    return batched(_identity)
