"""Compiles a pipeline in a process of its own: Kubeflow's SDK takes seconds to load and need not be installed here."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ml.cli.errors import UserError
from ml.cli.tools import run_tool

PIPELINE: Final = "train_models"
_TIMEOUT_SECONDS: Final = 300.0
_PROJECT: Final = Path(__file__).resolve().parents[3]
_MISSING: Final = "ModuleNotFoundError"


async def compile_pipeline(
    *, image: str, models: Sequence[str], tracking_url: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return the compiled pipeline that trains these models.

    Raises:
        UserError: it does not compile, or what it needs for that is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="mlp-pipeline-") as folder:
        file = Path(folder) / "pipeline.yaml"
        result = await run_tool(
            [
                sys.executable, "-m", "ml.pipelines", "compile", PIPELINE, f"--base-image={image}",
                f"--tracking-url={tracking_url}", f"--output={file}", *(f"--model={model}" for model in models),
            ],
            environment=_importing(environment),
            timeout_seconds=_TIMEOUT_SECONDS,
        )  # fmt: skip
        if result.exit_code != 0:
            raise _explain(result.last_words)
        (document,) = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    return cast("dict[str, Any]", document)


def _importing(environment: Mapping[str, str]) -> dict[str, str]:
    """Let the process import this package wherever it is started from."""
    path = os.pathsep.join(filter(None, [str(_PROJECT), environment.get("PYTHONPATH")]))
    return {**environment, "PYTHONPATH": path}


def _explain(words: str) -> UserError:
    if words.startswith(_MISSING):
        return UserError(
            f"the pipeline cannot be compiled here: {words}", "install the project with its extra `training`"
        )
    return UserError(f"the pipeline does not compile: {words}", f"run `python -m ml.pipelines compile {PIPELINE}`")
