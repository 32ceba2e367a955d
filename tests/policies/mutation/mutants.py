"""Small changes of a rule's file, each of which may weaken or break the rule.

Texts for people and the rule's own examples stay as they are: the former are held against docs/policies.md, the latter
are what a rule is asked.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final, cast

from policies import _kinds
from policies._model import Scope

_LEFT_ALONE: Final = frozenset(
    {"id", "title", "severity", "frameworks", "why", "how", "meaning", "message", "example"}
    | {"fails", "passes", "neighbour", "unknown", "missing"}
)
"""Arguments that hold texts for people, and examples."""
_WIDEST: Final = 90
_PATTERN_TESTS: Final = frozenset({"Matches", "NoKey"})
_WEAKER: Final[dict[str, tuple[str, ...]]] = {
    "Every": ("Some",),
    "Some": ("Every",),
    "AtLeast": ("AtMost",),
    "AtMost": ("AtLeast",),
    "Filled": ("Present",),
    "Present": ("Filled",),
}
"""Demands with the same arguments."""
_OPERATORS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


@dataclass(frozen=True)
class Mutant:
    """One change, compiled."""

    change: str
    """The text before and after."""
    code: CodeType


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in the tree."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    caller: str
    """Name of the function among whose arguments it is, if any."""

    def put(self, node: ast.AST) -> None:
        """Hang another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def mutants(source: str, name: str) -> Iterator[Mutant]:
    """Return every changed version of a file, one change each."""
    tree = ast.parse(source)
    for place in list(_places(tree, _used_names(tree))):
        for replacement in _alternatives(place):
            before = ast.unparse(place.node)
            place.put(ast.fix_missing_locations(ast.copy_location(replacement, place.node)))
            change = f"{_short(before)} -> {_short(ast.unparse(replacement))}"
            yield Mutant(change, compile(tree, name, "exec"))
            place.put(place.node)


def _used_names(tree: ast.Module) -> set[str]:
    """Return the names that the rule itself uses, not only its examples."""
    used: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            used |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            kept = [item.value for item in statement.value.keywords if item.arg not in _LEFT_ALONE]
            used |= {node.id for value in kept for node in ast.walk(value) if isinstance(node, ast.Name)}
    return used


def _places(tree: ast.Module, used: set[str]) -> Iterator[_Place]:
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield from _below(statement, "")
        elif isinstance(statement, ast.Assign):
            names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
            if names & (used | {"RULE"}):
                yield from _below(statement, "")


def _below(parent: ast.AST, caller: str) -> Iterator[_Place]:
    inner = parent.func.id if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) else caller
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "targets", "args") and isinstance(parent, ast.FunctionDef | ast.Assign):
            continue
        listed: Iterable[tuple[int | None, Any]] = [(None, value)]
        if isinstance(value, list):
            listed = enumerate(cast("list[Any]", value))
        for index, node in listed:
            if not isinstance(node, ast.AST) or _is_left_alone(parent, node):
                continue
            yield _Place(node, parent, field, index, inner)
            yield from _below(node, inner)


def _is_left_alone(parent: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in _LEFT_ALONE
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    if isinstance(parent, ast.Expr) and is_text:
        return True  # a docstring
    called = parent.func.id if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) else ""
    if called == "cast":
        return isinstance(parent, ast.Call) and node is parent.args[0]
    # What is said to people, and where: the last argument of these.
    return called in ("lacking", "unknown") and isinstance(parent, ast.Call) and node is parent.args[-1]


def _alternatives(place: _Place) -> Iterable[ast.AST]:
    node = place.node
    match node:
        case ast.Constant():
            return _constants(node.value, place.caller)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return [_without(node, "elts", index) for index in range(len(items))]
        case ast.Dict(keys=keys):
            return [_without(_without(node, "keys", index), "values", index) for index in range(len(keys))]
        case ast.BinOp(left=left, right=right, op=ast.BitAnd() | ast.BitOr()):
            other = ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd()
            return [ast.BinOp(left=left, op=other, right=right), left, right]
        case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=operand):
            return [operand]
        case ast.BoolOp(values=values):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            return [ast.BoolOp(op=other, values=values), *values]
        case ast.Compare(left=left, ops=[operator], comparators=right):
            others = _OPERATORS.get(type(operator), ())
            return [ast.Compare(left=left, ops=[other()], comparators=right) for other in others]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return [body, orelse, ast.IfExp(test=test, body=orelse, orelse=body)]
        case ast.Call(func=ast.Name(id=called)):
            return _calls(node, called)
        case ast.Name(id=name):
            return _kind_lists(name)
        case ast.Attribute(value=ast.Name(id="Scope"), attr=scope):
            others = [other.name for other in Scope if other.name != scope]
            return [ast.Attribute(ast.Name("Scope", ast.Load()), other, ast.Load()) for other in others]
        case ast.Continue():
            return [ast.Pass(), ast.Break()]
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            return [ast.Pass()]
        case ast.keyword(arg="when"):
            return [ast.keyword(arg="when", value=ast.Constant(value=None))]
        case _:
            return ()


def _constants(value: Any, caller: str) -> list[ast.AST]:
    match value:
        case bool():
            changed: list[Any] = [not value]
        case int() | float():
            changed = [value + 1, value - 1] if abs(value) >= 1 or value == 0 else [value * 1.5, value / 2]
        case str() if caller in _PATTERN_TESTS and _is_pattern(value):
            changed = _patterns(value)
        case str():
            changed = [f"{value}x", *([""] if value else [])]
        case _:
            changed = []
    return [ast.Constant(value=item) for item in changed]


def _is_pattern(text: str) -> bool:
    return re.escape(text) != text.replace("-", r"\-")


def _patterns(pattern: str) -> list[str]:
    """Return the pattern without an anchor, without case folding, and without each of its alternatives."""
    found = [pattern.replace(mark, "", 1) for mark in ("^", "$", "(?i)") if mark in pattern]
    for group in re.finditer(r"\(((?:[^()|]+\|)+[^()|]+)\)", pattern):
        items = group[1].split("|")
        for index in range(len(items)):
            kept = "|".join(items[:index] + items[index + 1 :])
            found.append(f"{pattern[: group.start(1)]}{kept}{pattern[group.end(1) :]}")
    found += [pattern.replace(found_class, "", 1) for found_class in re.findall(r"\[[^\]]+\][*+?]?", pattern)]
    return [*dict.fromkeys(found), "", f"{pattern}x"]


def _calls(node: ast.Call, called: str) -> list[ast.AST]:
    changed: list[ast.AST] = [
        ast.Call(func=ast.Name(id=other, ctx=ast.Load()), args=node.args, keywords=node.keywords)
        for other in _WEAKER.get(called, ())
    ]
    if called in ("Is", "OneOf", "Matches", "StartsWithOneOf", "AtLeast", "AtMost", "AmountAtMost"):
        changed.append(ast.Call(func=ast.Name(id="Present", ctx=ast.Load()), args=node.args[:1], keywords=[]))
    return changed


def _kind_lists(name: str) -> list[ast.AST]:
    """Return a list of kinds without each of them."""
    kinds = getattr(_kinds, name, None)
    if not isinstance(kinds, tuple):
        return []
    names = cast("tuple[str, ...]", kinds)
    shortened = [[kind for kind in names if kind != left_out] for left_out in names]
    return [ast.Tuple(elts=[ast.Constant(value=kind) for kind in kept], ctx=ast.Load()) for kept in shortened]


def _without(node: ast.AST, field: str, index: int) -> ast.AST:
    changed = copy.copy(node)
    setattr(changed, field, [item for number, item in enumerate(getattr(node, field)) if number != index])
    return changed


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 3]}..."
