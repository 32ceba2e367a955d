"""`mlp prerequisites`: what a stack expects to find in its cluster, and whether it is there.

Asked before anything is created, as the program itself asks (`ml/contracts/prerequisite_check.py`). Changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.kubectl import JsonObject, Kubectl
from ml.contracts import prerequisite_check
from ml.contracts.prerequisite_check import Finding
from ml.contracts.prerequisites import PREREQUISITES, PRESENT

_SETTING: Final = "prerequisites"
_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a stack expects to find, and where."""

    names: tuple[str, ...]
    context: str | None
    """Kubeconfig context that the configuration names."""
    kubeconfig: str | None
    """File that the configuration names."""

    def connection(self, ambient: Connection) -> Connection:
        """Return the way to the cluster that the stack will use; what was asked for on the command line wins."""
        added = {} if self.kubeconfig is None else {"KUBECONFIG": self.kubeconfig}
        return replace(ambient, context=ambient.context or self.context, environment={**ambient.environment, **added})


def expected(project: Path, stack: str) -> Expectation:
    """Return what a stack expects to find, by its committed configuration.

    Everything else that may be wrong with the configuration is the program's to refuse.

    Raises:
        UserError: the stack has no configuration, or names a prerequisite that there is not.
    """
    file = project / f"Pulumi.{stack}.yaml"
    try:
        content: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"there is no stack `{stack}`: {file} cannot be read", "name one of Pulumi.*.yaml") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not YAML: {error}", "repair the file") from None
    settings = {key.partition(":")[2]: value for key, value in _table(_table(content).get("config")).items()}
    states = _table(settings.get(_SETTING))
    unknown = sorted(set(states) - {*PREREQUISITES, "externalDnsProvider"})
    if unknown:
        raise UserError(
            f"{file} names unknown prerequisites: {', '.join(unknown)}", f"known are {', '.join(PREREQUISITES)}"
        )
    return Expectation(
        names=tuple(name for name, known in PREREQUISITES.items() if states.get(name, known.default) == PRESENT),
        context=_text(settings.get("context")),
        kubeconfig=_text(settings.get("kubeconfig")),
    )


def check(kubectl: Kubectl, names: Sequence[str]) -> list[Finding]:
    """Look for everything at once.

    Raises:
        UserError: the cluster does not answer, or does not let definitions and Deployments be read.
    """

    def read(path: str) -> JsonObject:
        text = asyncio.run(kubectl.run("get", f"--raw={path}", timeout_seconds=_TIMEOUT_SECONDS))
        return cast("JsonObject", json.loads(text))

    return prerequisite_check.check(read, names)


def refusal(stack: str, findings: Sequence[Finding], context: str | None) -> UserError | None:
    """Return one error that names everything that is not met in the cluster of a context; None if there is nothing."""
    refused = prerequisite_check.refusal(stack, findings, context)
    return refused and UserError(refused.what, refused.remedy)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None  # a kubeconfig's content is stored encrypted: not a text here


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
