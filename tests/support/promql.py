"""Which labels of which series a PromQL query speaks of: as much of the language as the queries of this project use."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"""\s+|"(?:[^"\\]|\\.)*"|[A-Za-z_:][\w:]*|[\d.]+\w*|=~|!~|[!=<>]=|.""")
_NAME: Final = re.compile(r"[A-Za-z_:][\w:]*")
_OF_ONE_OPERAND: Final = frozenset({"by", "without"})
_OF_BOTH_OPERANDS: Final = frozenset({"on", "ignoring", "group_left", "group_right"})
_GROUPING: Final = _OF_ONE_OPERAND | _OF_BOTH_OPERANDS
_WORDS: Final = _GROUPING | {"and", "or", "unless", "bool", "offset", "Inf", "NaN"}
_MATCHES: Final = frozenset({"=", "!=", "=~", "!~"})
_SOURCE: Final = 2
"""Place of the label that `label_replace` reads among its texts; the first one is the label that it makes."""


def labels_by_series(query: str) -> set[tuple[str, str]]:
    """Return pairs of a series and a label that the query selects, groups, joins or leaves out by.

    A grouping speaks of every series in the parentheses that it groups, a join of every one in those around it. A label
    that `label_replace` makes in there need not exist.
    """
    tokens = [token for token in _TOKEN.findall(query) if not token.isspace()]
    ends = _ends(tokens)
    groupings = [i for i, token in enumerate(tokens) if token in _GROUPING and i + 1 in ends]
    labels_at = {i: _labels(tokens, i + 1, ends) for i in groupings}
    no_series = {j for i in labels_at for j in range(i, ends[i + 1])}
    no_series |= {j for i, end in ends.items() if tokens[i] == "{" for j in range(i, end)}
    series = {i: token for i, token in enumerate(tokens) if i not in no_series and _is_series(tokens, i)}
    found = {(name, label) for i, name in series.items() if i + 1 in ends for label in _labels(tokens, i + 1, ends)}
    for i, labels in labels_at.items():
        inside = range(*_operands(tokens, i, ends))
        made = {label for j in inside if tokens[j] == "label_replace" for label in _texts(tokens, j, ends)[:1]}
        found |= {(name, label) for j, name in series.items() if j in inside for label in labels - made}
    for i, token in enumerate(tokens):
        if token == "label_replace":
            source = _texts(tokens, i, ends)[_SOURCE]
            found |= {(name, source) for j, name in series.items() if i < j < ends[i + 1] and source}
    return found


def _ends(tokens: list[str]) -> dict[int, int]:
    """Return where each bracket is closed."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token in "({[":
            opened.append(i)
        elif token in ")}]":
            ends[opened.pop()] = i
    assert not opened, tokens
    return ends


def _is_series(tokens: list[str], i: int) -> bool:
    after = tokens[i + 1] if i + 1 < len(tokens) else ""
    return (
        bool(_NAME.fullmatch(tokens[i])) and tokens[i] not in _WORDS and after != "(" and after not in _OF_ONE_OPERAND
    )


def _labels(tokens: list[str], opening: int, ends: dict[int, int]) -> set[str]:
    inside = range(opening + 1, ends[opening])
    if tokens[opening] == "{":
        return {tokens[i] for i in inside if tokens[i + 1] in _MATCHES}
    return {tokens[i] for i in inside if tokens[i] != ","} if tokens[opening] == "(" else set()


def _operands(tokens: list[str], i: int, ends: dict[int, int]) -> tuple[int, int]:
    """Return from where to where the word at `i` speaks."""
    following = ends[i + 1] + 1
    if tokens[i] in _OF_ONE_OPERAND:
        if following in ends and tokens[following] == "(":
            return following, ends[following]
        return next(start for start, end in ends.items() if end == i - 1), i
    around = [(start, end) for start, end in ends.items() if start < i < end]
    return min(around, key=lambda place: place[1] - place[0], default=(0, len(tokens)))


def _texts(tokens: list[str], i: int, ends: dict[int, int]) -> list[str]:
    """Return the texts among the arguments of the function at `i`, but not those of functions in it."""
    nested = {j for start, end in ends.items() if i + 1 < start < ends[i + 1] for j in range(start, end)}
    return [tokens[j][1:-1] for j in range(i + 2, ends[i + 1]) if j not in nested and tokens[j].startswith('"')]
