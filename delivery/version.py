"""Prints the version of the platform's own images that this commit builds."""

from __future__ import annotations

import re
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[1] / "components" / "_versions.py"


def main() -> None:
    """Read it without the program's packages: the job that publishes has none."""
    found = re.search(r'^PLATFORM_VERSION: Final = "([^"]+)"$', _SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{_SOURCE.name} names no PLATFORM_VERSION")
    print(found[1])


if __name__ == "__main__":
    main()
