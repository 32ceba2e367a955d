"""What the server uses of TensorFlow and its serving protocol, imported in one place: neither carries types."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any

from local.modelserver.status import Code, StatusError

# Its warnings repeat what a client with a bad request is told anyway.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _module(name: str) -> Any:
    return importlib.import_module(name)


Session: Any = _module("tensorflow.python.client.session").Session
Graph: Any = _module("tensorflow.python.framework.ops").Graph
ConfigProto: Any = _module("tensorflow.core.protobuf.config_pb2").ConfigProto
CallableOptions: Any = _module("tensorflow.core.protobuf.config_pb2").CallableOptions
RunOptions: Any = _module("tensorflow.core.protobuf.config_pb2").RunOptions
load_saved_model: Any = _module("tensorflow.python.saved_model.loader_impl").load
OpError: Any = _module("tensorflow.python.framework.errors").OpError
as_dtype: Any = _module("tensorflow.python.framework.dtypes").as_dtype
make_tensor_proto: Any = _module("tensorflow.python.framework.tensor_util").make_tensor_proto
make_ndarray: Any = _module("tensorflow.python.framework.tensor_util").MakeNdarray
read_records: Any = _module("tensorflow.python.lib.io.tf_record").tf_record_iterator
tensorflow_version: Any = _module("tensorflow.python.framework.versions").VERSION

predict_messages: Any = _module("tensorflow_serving.apis.predict_pb2")
status_messages: Any = _module("tensorflow_serving.apis.get_model_status_pb2")
metadata_messages: Any = _module("tensorflow_serving.apis.get_model_metadata_pb2")
log_messages: Any = _module("tensorflow_serving.apis.prediction_log_pb2")
json_format: Any = _module("google.protobuf.json_format")
DecodeError: Any = _module("google.protobuf.message").DecodeError

# It recommends TensorFlow 2's loader on every load; this server runs graphs in sessions as the real one does.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def status_of(error: Any) -> StatusError:
    """Return a TensorFlow operation's error with its code and message."""
    return StatusError(Code(int(error.error_code)), str(error.message))
