"""TensorFlow Serving's gRPC API."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from tests.support.tfserving_target import OTHER_TEXT, TEXT, TIMEOUT_SECONDS, Target

_AVAILABLE: Final = 30
_grpc: Any = importlib.import_module("grpc")
_tf: Any = importlib.import_module("tensorflow")
_predict_messages: Any = importlib.import_module("tensorflow_serving.apis.predict_pb2")
_status_messages: Any = importlib.import_module("tensorflow_serving.apis.get_model_status_pb2")
_metadata_messages: Any = importlib.import_module("tensorflow_serving.apis.get_model_metadata_pb2")
_prediction_service: Any = importlib.import_module("tensorflow_serving.apis.prediction_service_pb2_grpc")
_model_service: Any = importlib.import_module("tensorflow_serving.apis.model_service_pb2_grpc")
_health_messages: Any = importlib.import_module("grpc_health.v1.health_pb2")
_health_service: Any = importlib.import_module("grpc_health.v1.health_pb2_grpc")


def _predict_request(target: Target, *texts: str, model: str = "") -> Any:
    request = _predict_messages.PredictRequest()
    request.model_spec.name = model or target.model
    request.inputs["input"].CopyFrom(_tf.make_tensor_proto(list(texts), dtype=_tf.string))
    return request


def _refusal(call: Callable[[], object]) -> tuple[str, str]:
    try:
        call()
    except _grpc.RpcError as error:
        refused: Any = error
        return str(refused.code().name), str(refused.details())
    raise AssertionError("the call was not refused")


def answers_grpc_predictions_like_rest(target: Target) -> None:
    """Both entry points give the same numbers, and gRPC says which version answered."""
    with target.channel() as channel:
        stub = _prediction_service.PredictionServiceStub(channel)
        response = stub.Predict(_predict_request(target, TEXT, OTHER_TEXT), timeout=TIMEOUT_SECONDS)
    assert response.model_spec.name == target.model
    assert response.model_spec.version.value == target.version()
    assert response.model_spec.signature_name == "serving_default"
    columns = target.predict({"inputs": [TEXT, OTHER_TEXT]}).json()["outputs"]
    named = columns if len(response.outputs) > 1 else {next(iter(response.outputs)): columns}
    for name, values in named.items():
        array = _tf.make_ndarray(response.outputs[name])
        if array.dtype.kind in "OS":
            assert [item.decode() for item in array] == values
        else:
            assert array.tolist() == _tf.constant(values, dtype=array.dtype).numpy().tolist()


def filters_grpc_outputs(target: Target) -> None:
    """Only the outputs that were asked for come back; an unknown one is refused."""
    with target.channel() as channel:
        stub = _prediction_service.PredictionServiceStub(channel)
        everything = stub.Predict(_predict_request(target, TEXT), timeout=TIMEOUT_SECONDS)
        wanted = sorted(everything.outputs)[0]
        request = _predict_request(target, TEXT)
        request.output_filter.append(wanted)
        assert list(stub.Predict(request, timeout=TIMEOUT_SECONDS).outputs) == [wanted]
        request.output_filter[0] = "nothing"
        code, message = _refusal(lambda: stub.Predict(request, timeout=TIMEOUT_SECONDS))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("output tensor alias not found in signature: nothing Outputs expected to be in the set {")


def refuses_bad_grpc_predictions(target: Target) -> None:
    """Codes and messages of the gRPC API."""
    with target.channel() as channel:
        stub = _prediction_service.PredictionServiceStub(channel)

        def refused(request: Any) -> tuple[str, str]:
            return _refusal(lambda: stub.Predict(request, timeout=TIMEOUT_SECONDS))

        missing_model = refused(_predict_request(target, TEXT, model="nothing_of_that_name"))
        assert missing_model == ("NOT_FOUND", "Servable not found for request: Latest(nothing_of_that_name)")
        no_inputs = _predict_messages.PredictRequest()
        no_inputs.model_spec.name = target.model
        code, message = refused(no_inputs)
        assert code == "INVALID_ARGUMENT"
        assert message.startswith("input size does not match signature: 0!=1 len({}) != len({input}).")
        other_signature = _predict_request(target, TEXT)
        other_signature.model_spec.signature_name = "other"
        assert refused(other_signature) == ("FAILED_PRECONDITION", 'Serving signature key "other" not found.')
        other_name = _predict_messages.PredictRequest()
        other_name.model_spec.name = target.model
        other_name.inputs["text"].CopyFrom(_tf.make_tensor_proto([TEXT], dtype=_tf.string))
        assert refused(other_name)[0] == "INVALID_ARGUMENT"


def reports_status_and_metadata_over_grpc(target: Target) -> None:
    """The same facts as over REST."""
    with target.channel() as channel:
        status_request = _status_messages.GetModelStatusRequest()
        status_request.model_spec.name = target.model
        statuses = _model_service.ModelServiceStub(channel).GetModelStatus(status_request, timeout=TIMEOUT_SECONDS)
        available = [entry.version for entry in statuses.model_version_status if entry.state == _AVAILABLE]
        assert target.version() in available
        status_request.model_spec.name = "nothing_of_that_name"
        assert _refusal(lambda: _model_service.ModelServiceStub(channel).GetModelStatus(status_request)) == (
            "NOT_FOUND",
            "Could not find any versions of model nothing_of_that_name",
        )
        metadata_request = _metadata_messages.GetModelMetadataRequest()
        metadata_request.model_spec.name = target.model
        stub = _prediction_service.PredictionServiceStub(channel)
        assert _refusal(lambda: stub.GetModelMetadata(metadata_request)) == (
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        )
        metadata_request.metadata_field.append("signature_def")
        metadata = stub.GetModelMetadata(metadata_request, timeout=TIMEOUT_SECONDS)
        signatures = _metadata_messages.SignatureDefMap()
        assert metadata.metadata["signature_def"].Unpack(signatures)
        assert list(signatures.signature_def["serving_default"].inputs) == ["input"]


def answers_grpc_health_checks(target: Target) -> None:
    """With its flag on, the standard health service says that the server serves."""
    with target.channel() as channel:
        stub = _health_service.HealthStub(channel)
        answer = stub.Check(_health_messages.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    assert answer.status == _health_messages.HealthCheckResponse.SERVING
