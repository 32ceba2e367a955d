"""Reads the server's configuration files, which are protocol buffers in text form."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from local.modelserver.status import invalid_argument

_config_messages: Any = importlib.import_module("tensorflow_serving.config.model_server_config_pb2")
_text_format: Any = importlib.import_module("google.protobuf.text_format")

DEFAULT_METRICS_PATH: Final = "/monitoring/prometheus/metrics"
PolicyKind = Literal["latest", "all", "specific"]


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are served.

    Attributes:
        kind: `latest` (the highest `latest_count`), `all`, or `specific` (exactly `versions`).
        latest_count: how many versions `latest` serves.
        versions: what `specific` serves.
    """

    kind: PolicyKind = "latest"
    latest_count: int = 1
    versions: frozenset[int] = frozenset()

    def wanted(self, on_disk: frozenset[int]) -> frozenset[int]:
        """Return the versions to serve of those on disk."""
        if self.kind == "specific":
            return on_disk & self.versions
        return on_disk if self.kind == "all" else frozenset(sorted(on_disk)[-self.latest_count :])


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: name in URLs and requests.
        base_path: folder whose subfolders with plain numbers as names are the versions.
        policy: which versions to serve.
        labels: names for versions.
    """

    name: str
    base_path: Path
    policy: VersionPolicy
    labels: Mapping[str, int]


def read_model_configs(path: Path) -> tuple[ModelConfig, ...]:
    """Return the models of a `ModelServerConfig` file.

    Raises:
        StatusError: the file cannot be read, is no such message, or names a model twice or incompletely.
    """
    message = _config_messages.ModelServerConfig()
    _parse(path, message)
    if message.WhichOneof("config") != "model_config_list":
        raise invalid_argument(f"Invalid protobuf file: '{path}': only model_config_list is supported")
    models = tuple(_model(config, path) for config in message.model_config_list.config)
    names = [model.name for model in models]
    if len(set(names)) != len(names):
        raise invalid_argument(f"Duplicate model_config_list.config.name in {path}: {sorted(names)}")
    return models


def read_metrics_path(path: Path) -> str | None:
    """Return the URL path of the metrics page that a `MonitoringConfig` file asks for, None where it is off.

    Raises:
        StatusError: the file cannot be read or holds anything else.
    """
    settings = _scalar_block(path, "prometheus_config")
    unknown = sorted(settings.keys() - {"enable", "path"})
    if unknown:
        raise invalid_argument(f"Invalid protobuf file: '{path}': prometheus_config has no field {unknown[0]!r}")
    if settings.get("enable", "false") != "true":
        return None
    return settings.get("path", "") or DEFAULT_METRICS_PATH


def _model(config: Any, path: Path) -> ModelConfig:
    if not config.name or not config.base_path:
        raise invalid_argument(f"Invalid protobuf file: '{path}': every model needs name and base_path")
    if config.model_platform not in ("", "tensorflow"):
        raise invalid_argument(
            f"model {config.name}: model_platform={config.model_platform!r}: allowed is 'tensorflow'"
        )
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice") or "latest"
    return ModelConfig(
        name=config.name,
        base_path=Path(config.base_path),
        policy=VersionPolicy(kind, policy.latest.num_versions or 1, frozenset(policy.specific.versions)),
        labels=dict(config.version_labels),
    )


def _parse(path: Path, message: Any) -> None:
    try:
        _text_format.Parse(_read(path), message)
    except _text_format.ParseError as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}': {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_argument(f"Cannot read '{path}': {error}") from error


def _scalar_block(path: Path, name: str) -> dict[str, str]:
    """Return the scalar fields of a file's only block, for the one message that no Python package ships."""
    tokenizer = _text_format.Tokenizer(_read(path).splitlines())
    try:
        fields: dict[str, str] = {}
        while not tokenizer.AtEnd():
            block = tokenizer.ConsumeIdentifier()
            if block != name:
                raise invalid_argument(f"Invalid protobuf file: '{path}': no field {block!r}, expected {name!r}")
            tokenizer.TryConsume(":")
            tokenizer.Consume("{")
            while not tokenizer.TryConsume("}"):
                field = tokenizer.ConsumeIdentifier()
                tokenizer.Consume(":")
                fields[field] = _scalar(tokenizer)
                if not tokenizer.TryConsume(","):
                    tokenizer.TryConsume(";")
    except _text_format.ParseError as error:
        raise invalid_argument(f"Invalid protobuf file: '{path}': {error}") from error
    return fields


def _scalar(tokenizer: Any) -> str:
    if str(tokenizer.token)[:1] in {'"', "'"}:
        return str(tokenizer.ConsumeString())
    return "true" if tokenizer.ConsumeBool() else "false"
