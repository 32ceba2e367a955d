"""`make up`'s command as a process of its own, which can be cut off at a given moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local import paths

_POLL_SECONDS = 0.2


def up(
    *, stop_after: str | None = None, seconds_later: float = 6.0, stop_with: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Run the command to its end, or to where it is cut off; return exit code and output.

    Args:
        stop_after: a part of the line after which the command gets a signal; it must come.
        seconds_later: late enough for some objects to exist, early enough for others not to.
        stop_with: the signal.
    """
    # A file and no pipe: processes that outlive the command would keep a pipe open.
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        command = subprocess.Popen(
            [sys.executable, "-m", "local", "up"], cwd=paths.repo_root(), stdout=log, stderr=subprocess.STDOUT
        )
        if stop_after is not None:
            _wait_for(stop_after, Path(log.name), command)
            time.sleep(seconds_later)
            command.send_signal(stop_with)
        code = command.wait()
        output = Path(log.name).read_text(encoding="utf-8", errors="replace")
    print(output, flush=True)
    return code, output


def _wait_for(text: str, log: Path, command: subprocess.Popen[bytes]) -> None:
    while text not in log.read_text(encoding="utf-8", errors="replace"):
        assert command.poll() is None, f"ended before {text!r}: {log.read_text()}"
        time.sleep(_POLL_SECONDS)
