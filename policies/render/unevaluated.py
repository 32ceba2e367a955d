"""Loads modules whose annotations stay text until somebody asks for them, as if each module said so itself (PEP 563).

Making the annotations of an SDK's thousands of classes takes two thirds of the time of loading it; a stack needs those
of some hundred. Whoever needs one evaluates its text (`typing.get_type_hints`, as Pulumi does), with the same result.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any, Final

_COMPILED: Final = ".pyc"
_OWN: Final = ".unevaluated.pyc"
"""What is compiled in this way must not be taken for what Python compiles by itself, nor the other way round."""


class Unevaluated(SourceFileLoader):
    """Python's own loader of files, with another compiled form."""

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> CodeType:  # pyright: ignore[reportIncompatibleMethodOverride] - typeshed does not know the option that importlib passes
        """Compile a module."""
        flags = annotations.compiler_flag
        return compile(data, path, "exec", flags=flags, dont_inherit=True, optimize=_optimization)

    def get_data(self, path: str) -> bytes:
        """Return the content of a source or of a compiled form."""
        return super().get_data(_own(path))

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Keep a compiled form."""
        super().set_data(_own(path), data, _mode=_mode)


def unevaluated(ordinary: SourceFileLoader) -> SourceFileLoader:
    """Return the loader to use instead; the ordinary one where compiling would have to be repeated every time."""
    kept = Path(_own(cache_from_source(ordinary.path)))
    if kept.exists() or (not sys.dont_write_bytecode and _may_be_made(kept)):
        return Unevaluated(ordinary.name, ordinary.path)
    return ordinary


def _own(path: str) -> str:
    return path.removesuffix(_COMPILED) + _OWN if path.endswith(_COMPILED) else path


def _may_be_made(file: Path) -> bool:
    folder = file.parent if file.parent.is_dir() else file.parent.parent
    return os.access(folder, os.W_OK)
