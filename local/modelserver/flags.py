"""The command line of `tensorflow_model_server`: its names, types and defaults; anything unknown is an error."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final


class FlagError(ValueError):
    """The command line holds an unknown flag, a value of the wrong type, or lacks what is needed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flags:
    """Every flag that the stand-in acts on; names, meanings and defaults are TensorFlow Serving's."""

    port: int = 8500
    rest_api_port: int = 0
    rest_api_num_threads: int = 4 * len(os.sched_getaffinity(0))
    rest_api_timeout_in_ms: int = 30_000
    rest_api_enable_cors_support: bool = False
    grpc_max_threads: int = 4 * len(os.sched_getaffinity(0))
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    file_system_poll_wait_seconds: int = 1
    num_load_threads: int = 0
    num_unload_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    saved_model_tags: str = "serve"
    monitoring_config_file: str = ""
    enable_grpc_healthcheck_service: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    version: bool = False

    @property
    def session_threads(self) -> tuple[int, int]:
        """Return how many threads TensorFlow may use within one operation and for several at once."""
        common = self.tensorflow_session_parallelism
        return self.tensorflow_intra_op_parallelism or common, self.tensorflow_inter_op_parallelism or common


_WITHOUT_EFFECT: Final[dict[str, type]] = {
    "batching_parameters_file": str,
    "enable_batching": bool,
    "enable_per_model_batching_parameters": bool,
    "flush_filesystem_caches": bool,
    "grpc_channel_arguments": str,
    "per_process_gpu_memory_fraction": float,
    "remove_unused_fields_from_bundle_metagraph": bool,
    "xla_cpu_compilation_enabled": bool,
}
"""Flags of the real server that change its speed or its cost but not its answers; accepted, and named in the log."""

_UNSUPPORTED: Final = frozenset(
    {
        "grpc_socket_path",
        "model_config_file_poll_wait_seconds",
        "platform_config_file",
        "prefer_tflite_model",
        "ssl_config_file",
        "tensorflow_session_config_file",
        "thread_pool_factory_config_file",
        "use_alts_credentials",
    }
)
"""Flags of the real server whose effect the stand-in lacks; starting without it would be a lie."""

_LEAST: Final = {
    "rest_api_num_threads": 1,
    "grpc_max_threads": 1,
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 0,
    "num_request_iterations_for_warmup": 0,
}
_FIELDS: Final[dict[str, type]] = {field.name: type(field.default) for field in dataclasses.fields(Flags)}
_TRUE: Final = ("", "true", "1", "t")
_FALSE: Final = ("false", "0", "f")


def parse(arguments: Sequence[str]) -> tuple[Flags, tuple[str, ...]]:
    """Return the flags of a command line, and the names of those that have no effect here.

    Raises:
        FlagError: the command line is not one that the real server would start with.
    """
    values: dict[str, Any] = {}
    without_effect: list[str] = []
    for argument in arguments:
        name, separator, text = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name in _UNSUPPORTED:
            raise FlagError(f"not supported by the stand-in: {argument}")
        if not argument.startswith("--") or name not in _FIELDS | _WITHOUT_EFFECT:
            raise FlagError(f"unknown argument: {argument}")
        type_ = (_FIELDS | _WITHOUT_EFFECT)[name]
        if not separator and type_ is not bool:
            raise FlagError(f"--{name}: needs a value: --{name}=...")
        value = _value(name, text, type_)
        if name in _FIELDS:
            values[name] = value
        else:
            without_effect.append(name)
    flags = Flags(**values)
    _check(flags)
    return flags, tuple(without_effect)


def usage() -> str:
    """Return the list of flags with their defaults, as printed after an error."""
    lines = [f"\t--{field.name}={field.default}\t{_FIELDS[field.name].__name__}" for field in dataclasses.fields(Flags)]
    return "\n".join(["usage: tensorflow_model_server", "Flags:", *lines])


def _value(name: str, text: str, type_: type) -> Any:
    if type_ is bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise FlagError(f"--{name}={text}: allowed are true and false")
    try:
        return type_(text)
    except ValueError as error:
        raise FlagError(f"--{name}={text}: allowed is a value of type {type_.__name__}") from error


def _check(flags: Flags) -> None:
    if flags.version:
        return
    problems: list[str] = []
    if not flags.model_base_path and not flags.model_config_file:
        problems.append("Both server_options.model_base_path and server_options.model_config_file are empty!")
    for name in ("port", "rest_api_port"):
        value = getattr(flags, name)
        if not 0 <= value <= 65_535:
            problems.append(f"--{name}={value}: allowed are 0 (off) to 65535")
    if flags.port == 0 and flags.rest_api_port == 0:
        problems.append("--port=0 and --rest_api_port=0: at least one must be set")
    if flags.port == flags.rest_api_port != 0:
        problems.append(f"--rest_api_port={flags.rest_api_port}: must differ from --port")
    problems += [
        f"--{name}={getattr(flags, name)}: allowed is {least} or more"
        for name, least in _LEAST.items()
        if getattr(flags, name) < least
    ]
    for name in ("model_config_file", "monitoring_config_file"):
        value = getattr(flags, name)
        if value and not Path(value).is_file():
            problems.append(f"--{name}={value}: no such file")
    if problems:
        raise FlagError("; ".join(problems))
