"""The gRPC port: predictions, metadata and status as TensorFlow Serving's services, and the standard health check."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from local.modelserver.monitoring import Metrics
from local.modelserver.service import ModelSpec, Service, signature_or_default
from local.modelserver.status import Code, StatusError, invalid_argument
from local.modelserver.tensorflow_module import make_ndarray, make_tensor_proto, predict_messages

_LOG = logging.getLogger(__name__)
_MICROSECONDS: Final = 1_000_000
_UNLIMITED: Final = -1
_UNSUPPORTED: Final = ("Classify", "Regress", "MultiInference")

grpc: Any = importlib.import_module("grpc")
_prediction: Any = importlib.import_module("tensorflow_serving.apis.prediction_service_pb2_grpc")
_model: Any = importlib.import_module("tensorflow_serving.apis.model_service_pb2_grpc")
_health: Any = importlib.import_module("grpc_health.v1.health")
_health_messages: Any = importlib.import_module("grpc_health.v1.health_pb2")
_health_service: Any = importlib.import_module("grpc_health.v1.health_pb2_grpc")
_STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class PredictionService(_prediction.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other calls refuse, as the platform's models have no signature for them."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Answer a prediction."""
        return _answer(context, lambda: self._counted(request))

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Answer what signatures a version has."""
        return _answer(context, lambda: self._service.metadata(_spec_of(request), tuple(request.metadata_field)))

    def _counted(self, request: Any) -> Any:
        started = time.monotonic()
        name = request.model_spec.name
        try:
            response = self._predict(request)
        except StatusError as error:
            self._metrics.requests.add(name, error.code.name)
            raise
        self._metrics.requests.add(name, Code.OK.name)
        self._metrics.request_latency.observe((time.monotonic() - started) * _MICROSECONDS, name, "Predict", "GRPC")
        return response

    def _predict(self, request: Any) -> Any:
        signature = request.model_spec.signature_name
        response = predict_messages.PredictResponse()
        with self._service.hold(_spec_of(request)) as (number, servable):
            outputs = self._service.run(
                request.model_spec.name,
                servable,
                signature,
                {name: _array(name, tensor) for name, tensor in request.inputs.items()},
                output_filter=tuple(request.output_filter),
            )
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = signature_or_default(signature)
        response.model_spec.version.value = number
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(make_tensor_proto(array))
        return response


class ModelStatusService(_model.ModelServiceServicer):
    """GetModelStatus; reloading the configuration over the network is not supported."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Answer in which state a model's versions are."""
        return _answer(context, lambda: self._service.status(_spec_of(request)))


def make_server(service: Service, metrics: Metrics, *, port: int, threads: int, enable_health: bool) -> Any:
    """Return a started server on all addresses of a port.

    Raises:
        RuntimeError: the port cannot be bound.
    """
    options = [("grpc.max_receive_message_length", _UNLIMITED), ("grpc.max_send_message_length", _UNLIMITED)]
    server = grpc.server(ThreadPoolExecutor(threads, thread_name_prefix="grpc"), options=options)
    _prediction.add_PredictionServiceServicer_to_server(PredictionService(service, metrics), server)
    _model.add_ModelServiceServicer_to_server(ModelStatusService(service), server)
    if enable_health:
        health = _health.HealthServicer()
        health.set("", _health_messages.HealthCheckResponse.SERVING)
        _health_service.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    return server


def _answer(context: Any, compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except StatusError as error:
        context.abort(_STATUS_CODES[int(error.code)], error.message)
    except Exception as error:  # noqa: BLE001 one request must not end the server
        _LOG.exception("gRPC request")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _spec_of(request: Any) -> ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return ModelSpec(spec.name, version, spec.version_label if choice == "version_label" else None)


def _array(name: str, tensor: Any) -> Any:
    try:
        return make_ndarray(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise invalid_argument(f"tensor parsing error: {name}: {error}") from error
