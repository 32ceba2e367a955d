"""Small SavedModels for tests: quick to write, with answers that can be told apart by version."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

tf: Any = importlib.import_module("tensorflow")
_predict_messages: Any = importlib.import_module("tensorflow_serving.apis.predict_pb2")
_log_messages: Any = importlib.import_module("tensorflow_serving.apis.prediction_log_pb2")


def write_text_model(base_path: Path, version: int, *, hidden: bool = False) -> Path:
    """Write a model that answers each string input with its length in bytes and the model's version.

    With `hidden` the folder's name starts with a dot, so that the server does not see it yet.
    """
    path = base_path / (f".{version}" if hidden else str(version))

    def serve(texts: Any) -> dict[str, Any]:
        return {
            "length": tf.strings.length(texts),
            "version": tf.fill(tf.shape(texts), tf.constant(version)),
            "share": tf.cast(tf.strings.length(texts), tf.float32) / 3.0,
            "echo": tf.strings.lower(texts),
        }

    _save(serve, [tf.TensorSpec([None], tf.string, name="input")], path)
    return path


def write_numeric_model(base_path: Path, version: int) -> Path:
    """Write a model with inputs of several types and a scale that divides: `y = x / by`, `count + 1`, not `flag`."""
    path = base_path / str(version)

    def serve(x: Any, count: Any, flag: Any) -> dict[str, Any]:
        return {"half": x / 2.0, "next": count + 1, "not": tf.logical_not(flag)}

    specification = [
        tf.TensorSpec([None, 2], tf.float32, name="x"),
        tf.TensorSpec([None], tf.int64, name="count"),
        tf.TensorSpec([None], tf.bool, name="flag"),
    ]
    _save(serve, specification, path)
    return path


def write_failing_model(base_path: Path, version: int) -> Path:
    """Write a model that loads, but refuses every text shorter than three bytes when it is asked."""
    path = base_path / str(version)

    def serve(texts: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_greater(tf.strings.length(texts), 2, "text is too short")]):
            return {"length": tf.strings.length(texts), "copy": tf.identity(texts)}

    _save(serve, [tf.TensorSpec([None], tf.string, name="input")], path)
    return path


def write_warm_up(path: Path, texts: Sequence[str], *, signature: str = "serving_default") -> None:
    """Add one warm-up request for each text to a model."""
    (path / "assets.extra").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for text in texts:
            request = _predict_messages.PredictRequest()
            request.model_spec.signature_name = signature
            request.inputs["input"].CopyFrom(tf.make_tensor_proto([text]))
            log = _log_messages.PredictionLog(predict_log=_log_messages.PredictLog(request=request))
            writer.write(log.SerializeToString())


def write_broken_model(base_path: Path, version: int) -> Path:
    """Write a folder that looks like a model and cannot be loaded."""
    path = base_path / str(version)
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"this is no protocol buffer")
    return path


def _save(serve: Any, specification: list[Any], path: Path) -> None:
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=specification)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
