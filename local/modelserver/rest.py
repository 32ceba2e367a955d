"""TensorFlow Serving's REST API: which URL asks for what, and the bodies it is answered with."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from local.modelserver.json_document import parse_object, signature_name
from local.modelserver.json_result import error_body, response_body
from local.modelserver.json_tensor import check_examples, tensors_from_request
from local.modelserver.monitoring import Metrics
from local.modelserver.service import SIGNATURE_FIELD, ModelSpec, Service, signature_or_default
from local.modelserver.status import Code, StatusError, invalid_argument
from local.modelserver.tensorflow_module import json_format, metadata_messages

API_PATH: Final = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
_TARGET: Final = r"(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_PREDICTION: Final = re.compile(rf"/v1/models/([^/:]+){_TARGET}:(classify|regress|predict)", re.IGNORECASE)
_STATUS: Final = re.compile(rf"/v1/models(?:/([^/:]+))?{_TARGET}(?:/(metadata))?", re.IGNORECASE)
_MAXIMUM_VERSION: Final = 2**63 - 1
_MICROSECONDS: Final = 1_000_000
_CLASSIFY_METHODS: Final = {"classify": "classification", "regress": "regression"}


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer over HTTP."""

    status: int
    body: bytes
    content_type: str = "application/json"


class RestApi:
    """Answers REST requests; every one is counted, and timed if it succeeds."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def answer(self, method: str, path: str, body: bytes) -> Response:
        """Return the answer to one request; errors are answers too."""
        started = time.monotonic()
        name = action = ""
        try:
            spec, action = _parse(method, path)
            name = spec.name
            response = Response(200, self._dispatch(spec, action, body))
        except StatusError as error:
            self._metrics.requests.add(name, error.code.name)
            return Response(error.http_status, error_body(error))
        except RecursionError:
            self._metrics.requests.add(name, Code.INVALID_ARGUMENT.name)
            return Response(400, error_body(invalid_argument("JSON Parse error: nested too deeply.")))
        self._metrics.requests.add(name, Code.OK.name)
        elapsed = (time.monotonic() - started) * _MICROSECONDS
        api = action if method == "POST" else ""
        self._metrics.request_latency.observe(elapsed, name, api, "REST")
        return response

    def _dispatch(self, spec: ModelSpec, action: str, body: bytes) -> bytes:
        if action == "predict":
            return self._predict(spec, body)
        if action in _CLASSIFY_METHODS:
            return self._classify_or_regress(spec, action, body)
        if not spec.name:
            raise invalid_argument("Missing model name in request.")
        if action == "metadata":
            return _metadata_body(self._service.metadata(spec, (SIGNATURE_FIELD,)))
        return _message_text(self._service.status(spec)).encode()

    def _predict(self, spec: ModelSpec, body: bytes) -> bytes:
        document = parse_object(body)
        signature = signature_name(document)
        with self._service.hold(spec) as (_, servable):
            types = servable.input_types(signature)
            inputs, form = tensors_from_request(document, types)
            outputs = self._service.run(spec.name, servable, signature, inputs)
        return response_body(outputs, form)

    def _classify_or_regress(self, spec: ModelSpec, action: str, body: bytes) -> bytes:
        """Refuse with the real server's words: the platform's models have no such signature."""
        document = parse_object(body)
        signature = signature_or_default(signature_name(document))
        check_examples(document)
        with self._service.hold(spec) as (_, servable):
            if signature not in servable.signatures:
                raise invalid_argument(f"No signature was found with the name: {signature}")
            method = servable.signatures[signature].method_name
        if method != f"tensorflow/serving/{action}":
            raise invalid_argument(
                f"Expected {_CLASSIFY_METHODS[action]} signature method_name to be tensorflow/serving/{action}. "
                f"Was: {method}"
            )
        raise StatusError(Code.UNIMPLEMENTED, f"the stand-in model server does not {action}: use predict")


def _parse(method: str, path: str) -> tuple[ModelSpec, str]:
    pattern = {"POST": _PREDICTION, "GET": _STATUS}.get(method)
    found = pattern.fullmatch(path) if pattern is not None else None
    if found is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    name, version_text, label, action = found.groups()
    version = int(version_text[:20]) if version_text else None
    if version is not None and (len(version_text.lstrip("0")) > 19 or version > _MAXIMUM_VERSION):
        raise invalid_argument(f"Failed to convert version: {version_text} to numeric.")
    return ModelSpec(_decoded(name or ""), version, _decoded(label) if label else None), (action or "").lower()


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "backslashreplace")


def _message_text(message: Any) -> str:
    text: str = json_format.MessageToJson(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True, indent=1
    )
    return text + "\n"


def _metadata_body(response: Any) -> bytes:
    signatures = metadata_messages.SignatureDefMap()
    response.metadata[SIGNATURE_FIELD].Unpack(signatures)
    text = (
        f'{{\n"model_spec":{_message_text(response.model_spec)},\n'
        f'"metadata": {{"signature_def": {_message_text(signatures)}}}\n}}\n'
    )
    return text.encode()
