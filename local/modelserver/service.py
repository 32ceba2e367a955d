"""What the server answers, independent of how the question came: predict, status and metadata."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Final

from local.modelserver.lifecycle import VersionState
from local.modelserver.models import Models
from local.modelserver.monitoring import Metrics
from local.modelserver.servable import DEFAULT_SIGNATURE, Servable
from local.modelserver.status import invalid_argument, not_found
from local.modelserver.tensorflow_module import metadata_messages, status_messages

SIGNATURE_FIELD: Final = "signature_def"
_MICROSECONDS: Final = 1_000_000


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Which model, and which of its versions, a request is about.

    Attributes:
        name: the model.
        version: a version's number, None for the highest.
        label: a version's label, None if the request names none.
    """

    name: str
    version: int | None = None
    label: str | None = None


class Service:
    """Answers requests with the versions that are available."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics

    def hold(self, spec: ModelSpec) -> Any:
        """Return a context that holds the version a request is about: `(number, Servable)`.

        Raises:
            StatusError: on entry, if there is no such model, version or label.
        """
        return self._models.get(spec.name, spec.version).available(spec.version, spec.label)

    def run(
        self,
        name: str,
        servable: Servable,
        signature_name: str,
        inputs: Mapping[str, Any],
        *,
        output_filter: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Run a signature and measure it; arguments and errors are those of `Servable.predict`."""
        started = time.monotonic()
        outputs = servable.predict(signature_name, inputs, output_filter=output_filter)
        self._metrics.runtime_latency.observe((time.monotonic() - started) * _MICROSECONDS, name, "Predict", "TF1")
        return outputs

    def status(self, spec: ModelSpec) -> Any:
        """Return the status message of a model's versions, or of one of them.

        Raises:
            StatusError: the model or version has never been seen, or the label is unknown.
        """
        model = self._models.find(spec.name)
        states = model.states() if model is not None else {}
        version = spec.version
        if spec.label is not None and model is not None:
            if spec.label not in model.config.labels:
                raise invalid_argument(f"Unrecognized servable version label: {spec.label}")
            version = model.config.labels[spec.label]
        if version is not None:
            if version not in states:
                raise not_found(f"Could not find version {version} of model {spec.name}")
            states = {version: states[version]}
        if not states:
            raise not_found(f"Could not find any versions of model {spec.name}")
        response = status_messages.GetModelStatusResponse()
        for number, state in states.items():
            _add_status(response, number, state)
        return response

    def metadata(self, spec: ModelSpec, fields: tuple[str, ...]) -> Any:
        """Return the metadata message of a version.

        Raises:
            StatusError: there is no such version, or a field other than the signatures is asked for.
        """
        if not fields:
            raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
        for field in fields:
            if field != SIGNATURE_FIELD:
                raise invalid_argument(f"Metadata field {field} is not supported")
        signatures = metadata_messages.SignatureDefMap()
        response = metadata_messages.GetModelMetadataResponse()
        with self.hold(spec) as (number, servable):
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.name = spec.name
        response.model_spec.version.value = number
        response.metadata[SIGNATURE_FIELD].Pack(signatures)
        return response


def _add_status(response: Any, number: int, state: VersionState) -> None:
    entry = response.model_version_status.add()
    entry.version = number
    entry.state = int(state.state)
    if state.error is not None:
        entry.status.error_code = int(state.error.code)
        entry.status.error_message = state.error.message
    else:
        entry.status.SetInParent()


def signature_or_default(name: str) -> str:
    """Return the signature that an empty name stands for."""
    return name or DEFAULT_SIGNATURE
