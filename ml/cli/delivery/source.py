"""What the committed configuration of a stack says to those who only deploy it."""

from __future__ import annotations

from pathlib import Path

import yaml

from ml.cli.errors import UserError
from ml.cli.policy import rendering


def makes_own_cluster(stack: str, project: Path = rendering.PROJECT) -> bool:
    """Say whether a stack makes its own cluster.

    Raises:
        UserError: there is no such stack.
    """
    file = project / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        raise UserError(f"there is no stack `{stack}`", "take one of: dev, staging, prod")
    return "mlplatform:aws" in yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
