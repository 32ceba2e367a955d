"""One command's work on one platform, which ends cleanly when the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ml.cli.connection import Connection
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs, read_outputs

_T = TypeVar("_T")


async def act(connection: Connection, action: Callable[[Kubectl, StackOutputs], Awaitable[_T]]) -> _T:
    """Read the stack's outputs and run `action` with them.

    SIGTERM is treated like Ctrl-C, so that tunnels and other processes are ended in either case.

    Raises:
        UserError: the platform cannot be reached, or `action` failed.
        KeyboardInterrupt: the process was told to stop.
    """
    task = asyncio.current_task()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        if task is not None:
            task.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError):  # not in the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        outputs = await read_outputs(connection)
        return await action(Kubectl(connection), outputs)
    except asyncio.CancelledError:
        if stopped:
            raise KeyboardInterrupt from None
        raise
