"""One command at a time per instance; the kernel releases the lock when its holder dies."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from local.locking import locked


class BusyError(Exception):
    """Another command is working on the same instance."""


@contextmanager
def instance_lock(state_dir: Path) -> Generator[None]:
    """Hold the instance's lock while the body runs.

    Raises:
        BusyError: another process holds it.
    """
    # Beside the folder, not in it: `down` removes the folder while the lock is held.
    path = state_dir.parent / f".{state_dir.name}.lock"

    def refuse() -> None:
        raise BusyError(f"another command works on the platform `{state_dir.name}`; wait for it to end")

    with locked(path, refuse):
        try:
            yield
        finally:
            if not state_dir.exists():
                # What cannot be removed is no error, and must not hide the body's: the folder may be a mount point, or
                # have another instance in it.
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                    path.parent.rmdir()
