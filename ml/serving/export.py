"""Writes a model in the form the model server loads: a SavedModel with warm-up requests and a note of its origin.

Needs TensorFlow and the serving protocol's messages, so only the training image imports this module.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ml.contracts import SERVING_INPUT
from ml.serving.tensorflow_module import tf

SERVING_SIGNATURE: Final = "serving_default"
EXTRA_ASSETS: Final = "assets.extra"
WARM_UP_FILE: Final = "tf_serving_warmup_requests"
ORIGIN_FILE: Final = "origin.json"
MAXIMUM_WARM_UP_REQUESTS: Final = 1_000
"""TensorFlow Serving refuses a model with more."""

_predict_messages: Any = importlib.import_module("tensorflow_serving.apis.predict_pb2")
_log_messages: Any = importlib.import_module("tensorflow_serving.apis.prediction_log_pb2")


def write_saved_model(model: Any, directory: Path) -> None:
    """Write the model with its serving function as the default signature.

    Raises:
        ValueError: the signature's input is not named as every client names it.
    """
    serving = model.serving_function()
    tf.saved_model.save(model, str(directory), signatures={SERVING_SIGNATURE: serving})
    inputs = sorted(load_signature(directory).structured_input_signature[1])
    if inputs != [SERVING_INPUT]:
        raise ValueError(f"the signature's inputs are {inputs}, expected ['{SERVING_INPUT}']")


def load_signature(directory: Path) -> Any:
    """Return the default serving signature of a SavedModel as a callable."""
    return tf.saved_model.load(str(directory)).signatures[SERVING_SIGNATURE]


def predict(directory: Path, texts: Sequence[str], *, batch_size: int = 512) -> dict[str, Any]:
    """Return the signature's outputs for all texts: output name to array with one row per text."""
    loaded = tf.saved_model.load(str(directory))  # holds the weights; the signature alone does not
    signature = loaded.signatures[SERVING_SIGNATURE]
    batches: list[dict[str, Any]] = []
    for start in range(0, len(texts), batch_size):
        batch = tf.constant(list(texts[start : start + batch_size]))
        batches.append(signature(**{SERVING_INPUT: batch}))
    return {name: tf.concat([batch[name] for batch in batches], axis=0).numpy() for name in batches[0]}


def write_warm_up(directory: Path, *, model_name: str, texts: Sequence[str]) -> None:
    """Write one warm-up request for each text, and one for all of them together.

    Raises:
        ValueError: there are no texts, or more requests than the server accepts.
    """
    batches = [*([text] for text in texts), list(texts)]
    if not texts or len(batches) > MAXIMUM_WARM_UP_REQUESTS:
        raise ValueError(f"{len(texts)} warm-up texts: allowed are 1 to {MAXIMUM_WARM_UP_REQUESTS - 1}")
    extra = directory / EXTRA_ASSETS
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / WARM_UP_FILE)) as writer:
        for batch in batches:
            request = _predict_messages.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = SERVING_SIGNATURE
            request.inputs[SERVING_INPUT].CopyFrom(tf.make_tensor_proto(batch, dtype=tf.string))
            log = _log_messages.PredictionLog(predict_log=_log_messages.PredictLog(request=request))
            writer.write(log.SerializeToString())


def write_origin(directory: Path, origin: Mapping[str, object]) -> None:
    """Write where the model comes from (data, seed, code, figures) beside it, so that a served copy can be traced."""
    extra = directory / EXTRA_ASSETS
    extra.mkdir(exist_ok=True)
    (extra / ORIGIN_FILE).write_text(json.dumps(origin, indent=2, sort_keys=True) + "\n", encoding="utf-8")
