"""Amounts as Kubernetes writes them: `100m`, `2Gi`, `1.5`, `1e3`."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:([eE][+-]?[0-9]{1,2})|([a-zA-Z]{1,2}))?")
_SUFFIXES: Final = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{suffix: Fraction(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}


def parse(text: object) -> Fraction | None:
    """Return an amount, or None if it is none."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    return _of_text(str(text))


@lru_cache(maxsize=1024)
def _of_text(text: str) -> Fraction | None:
    match = _QUANTITY.fullmatch(text)
    if not match:
        return None
    number, exponent, suffix = match.groups()
    if suffix:
        return Fraction(number) * _SUFFIXES[suffix] if suffix in _SUFFIXES else None
    return Fraction(number) * Fraction(10) ** int((exponent or "e0")[1:])
