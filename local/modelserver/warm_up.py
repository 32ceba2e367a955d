"""Replays the requests that a model brings along, so that its first client does not wait for lazy initialisation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from local.modelserver.servable import Servable
from local.modelserver.status import Code, StatusError, invalid_argument
from local.modelserver.tensorflow_module import (
    DecodeError,
    OpError,
    log_messages,
    make_ndarray,
    read_records,
    status_of,
)

WARM_UP_FILE: Final = Path("assets.extra") / "tf_serving_warmup_requests"
MAXIMUM_RECORDS: Final = 1_000


def warm_up(servable: Servable, *, iterations: int) -> int:
    """Send every recorded request `iterations` times and return how many records there are, 0 without a file.

    Raises:
        StatusError: the file is damaged, holds too many records or other kinds of request, or a request fails.
    """
    path = servable.path / WARM_UP_FILE
    if not path.is_file():
        return 0
    records = 0
    try:
        for record in read_records(str(path)):
            records += 1
            if records > MAXIMUM_RECORDS:
                raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAXIMUM_RECORDS}) at {path}")
            _replay(servable, record, iterations)
    except OpError as error:
        failure = status_of(error)
        hint = "Please verify your warmup data is in TFRecord format."
        raise StatusError(failure.code, f"{failure.message} {hint}") from error
    return records


def _replay(servable: Servable, record: bytes, iterations: int) -> None:
    log = log_messages.PredictionLog()
    try:
        log.ParseFromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record: {error}") from error
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
    request = log.predict_log.request
    inputs = {name: make_ndarray(tensor) for name, tensor in request.inputs.items()}
    for _ in range(max(1, iterations)):
        servable.predict(request.model_spec.signature_name, inputs, output_filter=tuple(request.output_filter))
