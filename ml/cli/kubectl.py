"""The cluster, through `kubectl`: it knows every way of logging in that a kubeconfig can name."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from ml.cli.connection import Connection
from ml.cli.errors import NotFoundError, UserError
from ml.cli.tools import ToolResult, run_tool, running

_TIMEOUT_SECONDS: Final = 15.0
_FORWARD_READY_SECONDS: Final = 10.0
_FORWARDED: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_UNREACHABLE: Final = (
    "connection refused",
    "unable to connect",
    "was refused",
    "no such host",
    "i/o timeout",
)

JsonObject = dict[str, Any]


class Kubectl:
    """Commands on one cluster."""

    def __init__(self, connection: Connection) -> None:
        self.environment = connection.environment
        self._context = [f"--context={connection.context}"] if connection.context else []

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command line, for those who run it themselves."""
        return ["kubectl", *self._context, *arguments]

    async def run(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS) -> str:
        """Run a command and return what it prints.

        Raises:
            NotFoundError: the object is not there.
            UserError: the cluster does not answer or refuses.
        """
        result = await run_tool(
            self.command(*arguments),
            environment=self.environment,
            timeout_seconds=timeout_seconds,
            stdin=stdin,
        )
        if result.exit_code != 0:
            raise _explain(arguments, result)
        return result.stdout

    async def get(self, namespace: str, *what: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> JsonObject:
        """Return one object, or a list of objects, as JSON."""
        text = await self.run("get", "--namespace", namespace, *what, "--output=json", timeout_seconds=timeout_seconds)
        return cast("JsonObject", json.loads(text))

    async def items(self, namespace: str, *what: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[JsonObject]:
        """Return a list of objects; empty when there are none."""
        found = await self.get(namespace, *what, timeout_seconds=timeout_seconds)
        return cast("list[JsonObject]", found.get("items", []))

    async def secret(self, namespace: str, name: str) -> dict[str, str]:
        """Return the decoded content of a Secret."""
        data = cast("dict[str, str]", (await self.get(namespace, "secret", name)).get("data") or {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    @asynccontextmanager
    async def forward(self, namespace: str, target: str, port: int) -> AsyncGenerator[int]:
        """Open a port on loopback that leads to a port of `target` (pod/x, deployment/x, service/x).

        Yields:
            The local port, chosen by the system. The tunnel ends with the block.

        Raises:
            UserError: there is nothing to connect to.
        """
        command = self.command("port-forward", "--namespace", namespace, "--address=127.0.0.1", target, f":{port}")
        if shutil.which("setpriv", path=self.environment.get("PATH")):
            command = ["setpriv", "--pdeathsig", "KILL", *command]  # even kill -9 of mlp leaves no tunnel
        async with running(command, environment=self.environment) as process:
            yield await _forwarded_port(process, target)


async def _forwarded_port(process: asyncio.subprocess.Process, target: str) -> int:
    assert process.stdout is not None  # noqa: S101 it was asked for
    assert process.stderr is not None  # noqa: S101 it was asked for
    try:
        async with asyncio.timeout(_FORWARD_READY_SECONDS):
            line = (await process.stdout.readline()).decode(errors="replace")
            found = _FORWARDED.search(line)
            if found:
                return int(found[1])
            errors = (await process.stderr.read()).decode(errors="replace")
    except TimeoutError:
        raise UserError(f"no connection to {target} within {_FORWARD_READY_SECONDS:g} s", "see `mlp status`") from None
    words = ToolResult(exit_code=1, stdout=line, stderr=errors).last_words
    raise UserError(f"no connection to {target}: {words}", "see `mlp status`")


def _explain(arguments: Sequence[str], result: ToolResult) -> UserError:
    words = result.last_words
    lowered = result.stderr.lower()
    if any(sign in lowered for sign in _UNREACHABLE):
        return UserError(f"the cluster does not answer: {words}", "`make up` starts the embedded platform again")
    if "(notfound)" in lowered:
        return NotFoundError(words, "see `mlp status`; with several clusters name one with --context")
    return UserError(f"kubectl {' '.join(arguments[:2])}: {words}", "see `mlp status`")
