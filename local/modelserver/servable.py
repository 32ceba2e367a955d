"""One loaded version of a model: a TensorFlow session with the SavedModel's graph, and the calls into it."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from local.modelserver.json_values import TensorType
from local.modelserver.status import Code, StatusError, invalid_argument
from local.modelserver.tensorflow_module import (
    ConfigProto,
    Graph,
    OpError,
    RunOptions,
    Session,
    as_dtype,
    load_saved_model,
    status_of,
)

DEFAULT_SIGNATURE: Final = "serving_default"
PREDICT_METHOD: Final = "tensorflow/serving/predict"
_METHODS: Final = (PREDICT_METHOD, "tensorflow/serving/classify", "tensorflow/serving/regress")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """What TensorFlow may use.

    Attributes:
        intra_op_threads: threads within one operation, 0 for one per processor.
        inter_op_threads: operations at once, 0 for one per processor.
        tags: which of a SavedModel's graphs to load.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    tags: tuple[str, ...] = ("serve",)


class Servable:
    """A SavedModel in memory. Calls may come from several threads; `close` waits until the last one is done."""

    def __init__(self, path: Path, settings: SessionSettings) -> None:
        """Load the model.

        Raises:
            StatusError: the files are missing, damaged, or hold no graph with the wanted tags.
        """
        self.path = path
        self._users = 0
        self._idle = threading.Condition()
        self._calls: dict[tuple[str, tuple[str, ...]], Any] = {}
        config = ConfigProto(
            intra_op_parallelism_threads=settings.intra_op_threads,
            inter_op_parallelism_threads=settings.inter_op_threads,
        )
        graph = Graph()
        self._session: Any = Session(graph=graph, config=config)
        try:
            with graph.as_default():
                loaded = load_saved_model(self._session, list(settings.tags), str(path))
        except Exception as error:
            self._session.close()
            raise _load_error(error, path) from error
        self.signatures: dict[str, Any] = dict(loaded.signature_def)

    def __enter__(self) -> Self:
        """Keep the model in memory until the block ends."""
        with self._idle:
            self._users += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Let the model go if somebody waits for that."""
        with self._idle:
            self._users -= 1
            self._idle.notify_all()

    def close(self) -> None:
        """Wait for running calls, then free the memory."""
        with self._idle:
            self._idle.wait_for(lambda: self._users == 0)
        self._calls.clear()
        self._session.close()
        del self._session
        gc.collect()  # graphs refer to themselves; without this their memory stays until some later collection

    def input_types(self, signature_name: str) -> dict[str, TensorType]:
        """Return the inputs of a signature by name, sorted.

        Raises:
            StatusError: there is no such signature.
        """
        name = signature_name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        inputs = self.signatures[name].inputs
        return {
            alias: TensorType(
                as_dtype(inputs[alias].dtype).name.replace("float32", "float").replace("float64", "double")
            )
            for alias in sorted(inputs)
        }

    def predict(
        self,
        signature_name: str,
        inputs: Mapping[str, Any],
        *,
        output_filter: tuple[str, ...] = (),
        timeout_ms: int = 0,
    ) -> dict[str, Any]:
        """Run a signature and return its outputs by name, sorted.

        Args:
            signature_name: empty for the default signature.
            inputs: arrays by input name.
            output_filter: outputs to return, empty for all.
            timeout_ms: longest time to run, 0 for no limit.

        Raises:
            StatusError: the signature, an input or an output is unknown, or the graph refuses the values.
        """
        name = signature_name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        signature = self.signatures[name]
        _check_inputs(signature, inputs)
        aliases = tuple(output_filter) or tuple(sorted(signature.outputs))
        call = self._calls.get((name, aliases)) or self._make_call(name, aliases)
        values = [inputs[alias] for alias in sorted(signature.inputs)]
        try:
            results = call(*values, options=RunOptions(timeout_in_ms=timeout_ms))
        except (OpError, ValueError, TypeError) as error:
            raise _run_error(error) from error
        return dict(zip(aliases, results, strict=True))

    def _make_call(self, name: str, aliases: tuple[str, ...]) -> Any:
        signature = self.signatures[name]
        for alias in aliases:
            if alias not in signature.outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                    f"{{{','.join(sorted(signature.outputs))}}}."
                )
        if len(set(aliases)) != len(aliases):
            raise invalid_argument(f"duplicate output tensor alias: {aliases}")
        fetches = [signature.outputs[alias].name for alias in aliases]
        feeds = [signature.inputs[alias].name for alias in sorted(signature.inputs)]
        call = self._session.make_callable(fetches, feeds, accept_options=True)
        self._calls[name, aliases] = call
        return call


def _check_inputs(signature: Any, inputs: Mapping[str, Any]) -> None:
    if signature.method_name not in _METHODS:
        raise StatusError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. "
            f"Was: {signature.method_name}",
        )
    sent, wanted = sorted(inputs), sorted(signature.inputs)
    if len(sent) != len(wanted):
        extra, missing = sorted(set(sent) - set(wanted)), sorted(set(wanted) - set(sent))
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{','.join(sent)}}}) != "
            f"len({{{','.join(wanted)}}}). Sent extra: {{{','.join(extra)}}}. "
            f"Missing but required: {{{','.join(missing)}}}."
        )
    for alias in sent:
        if alias not in wanted:
            raise invalid_argument(
                f"input tensor alias not found in signature: {alias}. Inputs expected to be in the set "
                f"{{{','.join(wanted)}}}."
            )


def _load_error(error: Exception, path: Path) -> StatusError:
    if isinstance(error, OpError):
        return status_of(error)
    if isinstance(error, OSError):
        return StatusError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. {error}",
        )
    return StatusError(Code.INVALID_ARGUMENT, f"{type(error).__name__} while loading {path}: {error}")


def _run_error(error: Exception) -> StatusError:
    if isinstance(error, OpError):
        return status_of(error)
    return invalid_argument(str(error))
