"""The controller's settings, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from ml.contracts import (
    CONTROLLER_METRICS_PORT,
    EXPERIMENT_CONTROLLER,
    GATEWAY_NAMESPACE,
    GATEWAY_SELECTOR,
    MLFLOW_PORT,
    PROMETHEUS_PORT,
    PROMETHEUS_SERVICE,
    TRACKING_SERVER_SERVICE,
)
from ml.events.pool import DatabaseSettings

ReadBackWay = Literal["config-dump", "written"]
_NUMBERS: Final = {
    "SPLIT_TIMEOUT_SECONDS": (30, 1, 600),
    "HEALTH_PORT": (8080, 1, 65535),
    "METRICS_PORT": (CONTROLLER_METRICS_PORT, 1, 65535),
    "GATEWAY_SETTLE_SECONDS": (5, 1, 600),
}
"""Per variable: default, smallest and largest value."""
_DEFAULTS: Final = {
    "POD_NAME": EXPERIMENT_CONTROLLER,
    "REGISTRY_URL": f"http://{TRACKING_SERVER_SERVICE}:{MLFLOW_PORT}",
    "PROMETHEUS_URL": f"http://{PROMETHEUS_SERVICE}:{PROMETHEUS_PORT}",
    "GATEWAY_NAMESPACE": GATEWAY_NAMESPACE,
    "GATEWAY_SELECTOR": ",".join(f"{key}={value}" for key, value in GATEWAY_SELECTOR.items()),
    "GATEWAY_READ_BACK": "config-dump",
}
_LABEL: Final = r"[A-Za-z0-9][A-Za-z0-9./_-]*=[A-Za-z0-9._-]+"
_FORMS: Final = {
    "REGISTRY_URL": (re.compile(r"https?://[^\s/]+/?"), "an address such as http://HOST:PORT"),
    "PROMETHEUS_URL": (re.compile(r"https?://[^\s/]+/?"), "an address such as http://HOST:PORT"),
    "GATEWAY_SELECTOR": (re.compile(f"{_LABEL}(,{_LABEL})*"), "labels such as key=value,key=value"),
    "GATEWAY_READ_BACK": (
        re.compile("|".join(re.escape(way) for way in get_args(ReadBackWay))),
        " or ".join(get_args(ReadBackWay)),
    ),
}


class ConfigError(ValueError):
    """Settings are missing or out of range; the message names all of them."""


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """How to learn what the gateways have."""

    namespace: str
    selector: str
    read_back: ReadBackWay
    """`config-dump`: from each gateway pod; `written`: not at all, what is written counts after a while."""
    settle_seconds: int


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the controller acts on."""

    namespace: str
    """Namespace whose root VirtualServices and ABTests it keeps."""
    identity: str
    """Name of this controller among those that stand for election."""
    split_timeout_seconds: int
    """Longest time that the gateway waits for a model's answer."""
    health_port: int
    """Port of `GET /healthz`."""
    metrics_port: int
    """Port of `GET /metrics`."""
    registry_url: str
    prometheus_url: str
    database: DatabaseSettings
    gateway: GatewayConfig


def load_config(environment: Mapping[str, str]) -> Config:
    """Read the settings.

    Raises:
        ConfigError: names every variable that is missing or wrong, its value and what is allowed.
    """
    problems: list[str] = []
    namespace = environment.get("NAMESPACE", "").strip()
    if not namespace:
        problems.append("NAMESPACE is not set: it names the namespace to watch")
    texts = {name: environment.get(name, "").strip() or default for name, default in _DEFAULTS.items()}
    for name, (form, allowed) in _FORMS.items():
        if not form.fullmatch(texts[name]):
            problems.append(f"{name}={texts[name]!r}: allowed is {allowed}")
    numbers: dict[str, int] = {}
    for name, (default, low, high) in _NUMBERS.items():
        written = environment.get(name, str(default))
        numbers[name] = int(written) if written.isascii() and written.isdigit() else low - 1
        if not low <= numbers[name] <= high:
            problems.append(f"{name}={written!r}: allowed is a whole number from {low} to {high}")
    database: DatabaseSettings | None = None
    try:
        database = DatabaseSettings.from_environment(environment)
    except (OSError, ValueError) as error:
        problems.append(str(error))
    if problems or database is None:
        raise ConfigError("; ".join(problems))
    return Config(
        namespace=namespace,
        identity=texts["POD_NAME"],
        split_timeout_seconds=numbers["SPLIT_TIMEOUT_SECONDS"],
        health_port=numbers["HEALTH_PORT"],
        metrics_port=numbers["METRICS_PORT"],
        registry_url=texts["REGISTRY_URL"],
        prometheus_url=texts["PROMETHEUS_URL"],
        database=database,
        gateway=GatewayConfig(
            namespace=texts["GATEWAY_NAMESPACE"],
            selector=texts["GATEWAY_SELECTOR"],
            read_back=cast("ReadBackWay", texts["GATEWAY_READ_BACK"]),
            settle_seconds=numbers["GATEWAY_SETTLE_SECONDS"],
        ),
    )
