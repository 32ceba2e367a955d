"""`python -m local.toolchain ensure [TOOL...]`: installs tools and prints where their binaries are."""

from __future__ import annotations

import sys

from local.progress import ConsoleProgress
from local.toolchain import ToolchainError, ensure, preflight

_USAGE = "usage: python -m local.toolchain ensure [TOOL...]"


def main(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    if not arguments or arguments[0] != "ensure":
        print(_USAGE, file=sys.stderr)
        return 2
    names = arguments[1:] or None
    try:
        preflight(names)
        toolchain = ensure(names, ConsoleProgress())
    except (ValueError, ToolchainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, path in toolchain.binaries.items():
        print(f"{name:28} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
