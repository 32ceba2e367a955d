"""The controller's settings, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = {"SPLIT_TIMEOUT_SECONDS": (30, 1, 600), "HEALTH_PORT": (8080, 1, 65535)}
"""Per variable: default, smallest and largest value."""


class ConfigError(ValueError):
    """Settings are missing or out of range; the message names all of them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the controller acts on."""

    namespace: str
    """Namespace whose root VirtualServices it keeps."""
    split_timeout_seconds: int
    """Longest time that the gateway waits for a model's answer."""
    health_port: int
    """Port of `GET /healthz`."""


def load_config(environment: Mapping[str, str]) -> Config:
    """Read the settings.

    Raises:
        ConfigError: names every variable that is missing or wrong, its value and what is allowed.
    """
    problems: list[str] = []
    namespace = environment.get("NAMESPACE", "").strip()
    if not namespace:
        problems.append("NAMESPACE is not set: it names the namespace to watch")
    numbers: dict[str, int] = {}
    for name, (default, low, high) in _NUMBERS.items():
        written = environment.get(name, str(default))
        numbers[name] = int(written) if written.isascii() and written.isdigit() else low - 1
        if not low <= numbers[name] <= high:
            problems.append(f"{name}={written!r}: allowed is a whole number from {low} to {high}")
    if problems:
        raise ConfigError("; ".join(problems))
    return Config(
        namespace=namespace,
        split_timeout_seconds=numbers["SPLIT_TIMEOUT_SECONDS"],
        health_port=numbers["HEALTH_PORT"],
    )
