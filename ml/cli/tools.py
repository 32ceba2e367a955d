"""Runs `pulumi` and `kubectl` with a time limit; nothing they start is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ml.cli.errors import UserError

_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """How a tool ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that the tool wrote, which is where it says what is wrong."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.exit_code} without a message"


async def run_tool(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout_seconds: float,
    stdin: str | None = None,
    folder: str | None = None,
) -> ToolResult:
    """Run a tool to its end.

    Raises:
        UserError: it is not on PATH, or not done within the time limit.
    """
    given = asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL
    async with running(arguments, environment=environment, folder=folder, stdin=given) as process:
        try:
            async with asyncio.timeout(timeout_seconds):
                stdout, stderr = await process.communicate(stdin.encode() if stdin is not None else None)
        except TimeoutError:
            raise UserError(
                f"`{' '.join(arguments[:3])}` gave no answer within {timeout_seconds:g} s",
                "see whether the machine or the cluster is overloaded or gone, then try again",
            ) from None
    return ToolResult(
        exit_code=process.returncode or 0,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
    )


@asynccontextmanager
async def running(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    output: int | None = asyncio.subprocess.PIPE,
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a tool beside the block; it is killed, if it still runs, and collected when the block is left.

    Args:
        arguments: the tool's name or path, and what it is told.
        environment: all of it.
        folder: to run in; None takes the current one.
        stdin: what it reads, as `subprocess` has it.
        output: where it writes; None takes where this process does.

    Raises:
        UserError: it is not on PATH.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *arguments, env=dict(environment), cwd=folder, stdin=stdin, stdout=output, stderr=output
        )
    )
    try:
        # Not to be cut off: Python 3.11 then connects pipes that nobody closes, and complains of it at the end.
        process = await asyncio.shield(starting)
    except FileNotFoundError:
        raise missing_tool(arguments[0]) from None
    except asyncio.CancelledError:
        with contextlib.suppress(FileNotFoundError):
            await _end(await starting)
        raise
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        # What it wrote last: open pipes at the end of the event loop make Python complain. A child may hold them open.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await process.communicate()


def missing_tool(tool: str) -> UserError:
    """Return the error for a tool that is not on PATH."""
    return UserError(f"`{tool}` is not on PATH", f"install {tool} or add its folder to PATH")
