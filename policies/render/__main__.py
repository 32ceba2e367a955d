"""`python -m policies.render STACK [FOLDER]`: every resource of a stack as a line of JSON, for rules to judge.

The committed configuration decides. What only a deployment knows is made up: it changes names and passwords, never the
shape of what is declared.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from policies.render import lazy_packages
from policies.render.graph import Graph, Secret, Unknown
from policies.render.recording_monitor import PROJECT, run

_UNKNOWN_MARK: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_IMAGES: Final = ("postgres", "minio", "minio-client", "mlflow", "ml", "training", "model-server", "prometheus")
_MADE_UP: Final[Mapping[str, Any]] = {"masterSecret": "made up for rendering; no password in use comes from it"}
_MADE_UP_LOCAL: Final[Mapping[str, Any]] = {
    "kubeconfig": "/made-up/kubeconfig",
    "gatewayAddress": "127.0.0.1:8080",
    "images": {name: f"localhost/mlplatform/{name}:0123456789ab" for name in _IMAGES},
}
_LOCAL: Final = "local"
_EXIT_USAGE: Final = 2


def configuration(stack: str, folder: Path) -> dict[str, str]:
    """Return the configuration of a stack as the engine hands it to a program: every value a text."""
    text = (folder / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    content = cast("dict[str, Any]", yaml.safe_load(text) or {})
    committed = cast("dict[str, Any]", content.get("config") or {})
    added = {**_MADE_UP, **(_MADE_UP_LOCAL if stack == _LOCAL else {})}
    values = {**{f"{PROJECT}:{key}": value for key, value in added.items()}, **committed}
    return {key: _text(_MADE_UP["masterSecret"] if _is_encrypted(value) else value) for key, value in values.items()}


def graph(stack: str, folder: Path) -> Graph:
    """Run the program of a stack as a preview would."""
    values = configuration(stack, folder)
    program = str(folder / "__main__.py")

    def start() -> None:
        runpy.run_path(program, run_name="__main__")

    encrypted = (f"{PROJECT}:masterSecret",)
    return run(start, stack=stack, preview=True, config=values, encrypted=encrypted)


def lines(rendered: Graph) -> list[str]:
    """Return one line of JSON per resource and component. Contents of secrets are left out: nobody needs them."""
    return [
        json.dumps(
            {
                "type": item.type,
                "name": item.name,
                "urn": item.urn,
                "parent": item.parent,
                "custom": item.custom,
                "protect": item.protect,
                "inputs": _plain(dict(item.inputs)),
            }
        )
        for item in rendered.resources.values()
    ]


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"secure"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return _hidden(value.value)
    if isinstance(value, Unknown):
        return _UNKNOWN_MARK
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_hidden(item) for item in cast("list[Any]", value)]
    return _UNKNOWN_MARK if isinstance(value, Unknown) else "[secret]"


def main(arguments: list[str]) -> int:
    """Write the resources to standard output; return the exit code."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m policies.render STACK [FOLDER]", file=sys.stderr)
        return _EXIT_USAGE
    # The process ends in a second: collecting the cycles of half a million imported objects is a sixth of its time.
    gc.disable()
    lazy_packages.install()
    folder = Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    print("\n".join(lines(graph(arguments[0], folder))))
    return 0


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    # At once: taking half a million imported objects down one by one would take a quarter of the time.
    os._exit(exit_code)
