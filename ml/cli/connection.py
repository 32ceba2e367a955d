"""How `mlp` finds a platform: stack, project folder, and the environment for `pulumi` and `kubectl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from ml.cli.errors import UserError
from ml.contracts.engine_environment import without_engine_settings

LOCAL_STACK: Final = "local"
_DEFAULT_INSTANCE: Final = "local"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A platform and the means to reach it."""

    stack: str
    project_dir: Path
    """Folder that holds Pulumi.yaml."""
    environment: Mapping[str, str]
    """Complete environment for subprocesses."""
    context: str | None
    """Kubeconfig context; None means the current one."""


def connect(stack: str, context: str | None, environment: Mapping[str, str], folder: Path) -> Connection:
    """Find the platform of a stack.

    The embedded platform leaves a connection file in its state folder, which alone tells the engine how to reach it;
    any other stack is reached with the environment as it is, from a folder in or below the project.

    Raises:
        UserError: there is no such platform, or its connection file is damaged.
    """
    instance = environment.get("MLP_INSTANCE") or _DEFAULT_INSTANCE
    file = _state_dir(environment) / instance / "mlp.json"
    if stack == LOCAL_STACK:
        if not file.exists():
            raise UserError(f"no platform `{instance}` found ({file} does not exist)", "run `make up`")
        return _read(file, context, environment)
    return Connection(
        stack=stack,
        project_dir=_project_dir(environment, folder),
        environment=dict(environment),
        context=context,
    )


def _state_dir(environment: Mapping[str, str]) -> Path:
    override = environment.get("MLP_STATE_DIR")
    if override:
        return Path(override)
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "mlplatform"


def _read(file: Path, context: str | None, environment: Mapping[str, str]) -> Connection:
    try:
        content = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
        added = _texts(content["environment"])
        merged = {**without_engine_settings(environment), **added}
        if "PATH" in added:
            merged["PATH"] = os.pathsep.join([added["PATH"], environment.get("PATH", "")])
        return Connection(
            stack=str(content["stack"]),
            project_dir=Path(content["project_dir"]),
            environment=merged,
            context=context,
        )
    except PermissionError:
        raise UserError(f"{file} may not be read", "run `mlp` as the user who ran `make up`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged: {error!r}", "run `make up`, which writes it anew") from None


def _texts(environment: Mapping[str, object]) -> dict[str, str]:
    for name, value in environment.items():
        if not isinstance(value, str):
            raise TypeError(f"environment.{name}={value!r}: allowed is a text")
    return dict(cast("Mapping[str, str]", environment))


def _project_dir(environment: Mapping[str, str], folder: Path) -> Path:
    override = environment.get("MLP_PROJECT_DIR")
    if override:
        return Path(override)
    beside_the_code = Path(__file__).resolve().parents[2]
    for candidate in (folder, *folder.parents, beside_the_code):
        if (candidate / "Pulumi.yaml").exists():
            return candidate
    raise UserError(
        f"no Pulumi.yaml in {folder} or above it",
        "go to the project's folder or name it in MLP_PROJECT_DIR",
    )
