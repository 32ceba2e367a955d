"""Loads of an SDK's packages only the modules of which a program uses something.

A package of an SDK holds hundreds of resources and loads them all for the first one: a fifth of the time in which a
stack on AWS is rendered. What it offers stays the same: names come from the modules that it lists, the last one wins.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from policies.render.unevaluated import unevaluated

_SDKS: Final = ("pulumi_aws.", "pulumi_kubernetes.")
_LISTED: Final = re.compile(r"^from \.(\w+) import \*$", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^__all__ = \[(.*?)\]", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"'(\w+)'")
_PLAIN: Final = re.compile(
    r"#.*|import (builtins as _builtins|typing)|from \.+ import _utilities|from \. import outputs|from \.\w+ import \*|"
)
"""What a package that only lists its modules consists of."""
_OUTPUTS: Final = "outputs"
"""The one module that packages offer as such."""
_HEAD_CHARACTERS: Final = 4096


def install() -> None:
    """Let SDK packages that are imported from now on load their modules when something of them is used."""
    sys.meta_path.insert(0, _Finder())


def homes(package: Path) -> Mapping[str, str]:
    """Return the module of each name that a package takes from its modules.

    Empty if it does anything else as well, or a module does not say what it exports: then it has to be loaded whole.
    """
    text = (package / "__init__.py").read_text(encoding="utf-8")
    if not all(_PLAIN.fullmatch(line) for line in text.splitlines()):
        return {}
    found: dict[str, str] = {}
    for module in _LISTED.findall(text):
        file = package / f"{module}.py"
        with file.open(encoding="utf-8") as opened:
            exported = _EXPORTED.search(opened.read(_HEAD_CHARACTERS))
        if exported is None:
            exported = _EXPORTED.search(file.read_text(encoding="utf-8"))
        if exported is None:
            return {}
        found |= dict.fromkeys(_NAME.findall(exported[1]), module)
    return found


class _Finder(MetaPathFinder):
    """Finds what `sys.path` holds, packages of SDKs with another loader."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_SDKS):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = unevaluated(spec.loader)
        # An SDK looks for all of its packages at once: they are not opened before one is used.
        if spec is not None and spec.submodule_search_locations and spec.loader is not None:
            spec.loader = _Lazy(spec.loader, Path(spec.submodule_search_locations[0]))
        return spec


class _Lazy(Loader):
    """Makes a package whose names are looked up when they are asked for, or a whole one if it does more than list."""

    def __init__(self, ordinary: Loader, package: Path) -> None:
        self._ordinary = ordinary
        self._package = package

    def exec_module(self, module: ModuleType) -> None:
        found = homes(self._package)
        if not found:
            self._ordinary.exec_module(module)
            return
        module.__class__ = _Package
        vars(module)["_homes"] = found


class _Package(ModuleType):
    _homes: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        if name == _OUTPUTS:
            return import_module(f"{self.__name__}.{name}")
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{self.__name__}.{self._homes[name]}"), name)
        setattr(self, name, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        """Let a class or function that is named like its module stand before that, which importing would put here."""
        if isinstance(value, ModuleType) and self._homes.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)
