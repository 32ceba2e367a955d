"""Keeps the processes' log files bounded. They are open for appending, so cutting one is safe at any moment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

LARGEST_BYTES: Final = 16 * 1024 * 1024


def bound(folder: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Move a log file of more than `largest_bytes` to `<name>.1`, which is replaced; at most twice that remains.

    Never raises: where the disk is full, the past is dropped, which is what is needed then.
    """
    for path in folder.glob("*.log"):
        with contextlib.suppress(OSError):
            if path.stat().st_size <= largest_bytes:
                continue
            with contextlib.suppress(OSError):
                shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log file, or an empty text if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 400 * lines))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
