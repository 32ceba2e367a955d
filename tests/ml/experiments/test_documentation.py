"""The document names every module, and the package keeps to numpy, scipy and itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted(path for path in (ROOT / "ml" / "experiments").glob("*.py") if path.name != "__init__.py")


def test_document_names_every_module_when_read() -> None:
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+)(?:\.[a-z_]+)?`", text))
    assert {path.stem for path in MODULES} - named - {"evidence"} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_imports_only_what_is_allowed_when_parsed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    ours = {name for name in imported if name.startswith("ml.")}
    assert all(name.startswith(("ml.experiments", "ml.contracts")) for name in ours)
    forbidden = {"os", "pathlib", "time", "datetime", "random", "socket", "subprocess", "warnings", "logging"}
    assert {name.split(".")[0] for name in imported}.isdisjoint(forbidden)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_public_functions_say_their_errors_when_they_take_arguments(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    silent = [f.name for f in functions if not (ast.get_docstring(f) or "")]
    long = [f.name for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and _code_lines(f) > 50]
    assert (silent, long) == ([], [])


def _code_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring
