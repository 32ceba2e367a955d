"""Refuses a stack whose cluster lacks what its settings say is present: all of it at once, before anything is made.

Asked through `kubectl`, which knows every way of logging in that a kubeconfig can name, as the provider does. A preview
of a cluster that cannot be asked says so and goes on, for it changes nothing; an update is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import pulumi
from pulumi.runtime import is_dry_run

from components._schema import Sensitive
from components.settings import Settings
from ml.contracts.prerequisite_check import JsonObject, check, refusal
from ml.contracts.prerequisites import OFFLINE_VARIABLE

_REQUEST_SECONDS: Final = 10
_TIMEOUT_SECONDS: Final = 30
"""Of one request with its login, for which a kubeconfig may name another program."""


class UnmetPrerequisitesError(pulumi.RunError):
    """The cluster is not as the stack expects it, or does not say whether it is; the message has all of it."""


class _SilentClusterError(Exception):
    """The cluster was not asked, or gave no answer; the message says why."""


def require_prerequisites(settings: Settings) -> None:
    """Look for what the stack expects in a cluster that is there, before anything is declared.

    Raises:
        UnmetPrerequisitesError: something is not met, or this is an update and the cluster gives no answer.
    """
    if not _asks(settings):
        return
    kubeconfig = settings.kubeconfig
    if isinstance(kubeconfig, Sensitive):
        _require_in(settings, kubeconfig.reveal())
    else:
        _require(settings, None if kubeconfig is None else Path(kubeconfig).expanduser())


def with_prerequisites(settings: Settings, kubeconfig: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return the kubeconfig of a cluster that the stack makes, once what it expects is found there.

    Where the cluster is not made yet, a preview cannot tell. An update makes it and stops at this gate: the provider of
    everything inside takes its kubeconfig from here.
    """
    if not _asks(settings):
        return kubeconfig

    async def look(content: str) -> str:
        await asyncio.to_thread(_require_in, settings, content)
        return content

    return kubeconfig.apply(look)


def _asks(settings: Settings) -> bool:
    return bool(settings.prerequisites.expected) and not os.environ.get(OFFLINE_VARIABLE)


def _require_in(settings: Settings, content: str) -> None:
    with _written(content) as file:
        _require(settings, file)


def _require(settings: Settings, kubeconfig: Path | None) -> None:
    stack, context = pulumi.get_stack(), settings.context

    def read(path: str) -> JsonObject:
        text = _kubectl(path, kubeconfig, context)
        try:
            return cast("JsonObject", json.loads(text))
        except ValueError:
            raise _SilentClusterError("its answer is no JSON") from None

    try:
        findings = check(read, settings.prerequisites.expected)
    except _SilentClusterError as error:
        what = f"the cluster does not say whether it meets the prerequisites of stack `{stack}`: {error}"
        if not is_dry_run():
            raise UnmetPrerequisitesError(
                f"{what}\nnothing has been deployed into it: make it answer `kubectl`, which this was asked through, "
                f"or set {OFFLINE_VARIABLE}=1 to deploy without asking"
            ) from None
        pulumi.log.warn(f"{what}; an update will be refused")
        return

    refused = refusal(stack, findings, context)
    if refused is not None:
        raise UnmetPrerequisitesError(f"{refused.what}\n{refused.remedy}")


def _kubectl(path: str, kubeconfig: Path | None, context: str | None) -> str:
    where = [
        *([] if kubeconfig is None else [f"--kubeconfig={kubeconfig}"]),
        *([] if context is None else [f"--context={context}"]),
    ]
    command = ["kubectl", *where, f"--request-timeout={_REQUEST_SECONDS}s", "get", f"--raw={path}"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise _SilentClusterError("`kubectl` is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise _SilentClusterError(f"no answer within {_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise _SilentClusterError(words[-1] if words else f"kubectl ended with exit code {done.returncode}")
    return done.stdout


@contextmanager
def _written(content: str) -> Generator[Path]:
    """Write a kubeconfig where nobody else can read it, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(content, encoding="utf-8")
        yield file
