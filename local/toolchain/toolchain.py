"""The finished toolchain: where each binary lies. Plain data; how binaries get there is installer.py's business."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Toolchain:
    """Binaries by name, each with the file to run."""

    binaries: Mapping[str, Path]

    def bin(self, name: str) -> Path:
        """Return the file of one binary.

        Raises:
            KeyError: the binary belongs to no tool that was asked for.
        """
        try:
            return self.binaries[name]
        except KeyError:
            known = ", ".join(sorted(self.binaries)) or "none"
            raise KeyError(f"binary {name!r} is not in this toolchain (it has: {known})") from None

    def path_env(self) -> str:
        """Return a value for PATH on which every binary of this toolchain comes first."""
        folders = list(dict.fromkeys(str(path.parent) for path in self.binaries.values()))
        inherited = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part]
        return os.pathsep.join(folders + [part for part in inherited if part not in folders])
