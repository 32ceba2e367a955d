"""When two values mean the same to Kubernetes although they are written differently."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from local.provider.values import as_list, as_object

_QUANTITY: Final = re.compile(r"([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_SCALE: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY_PARENTS: Final = frozenset(
    {"capacity", "default", "defaultRequest", "hard", "limits", "max", "min", "requests"}
)
_QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "storage", "divisor", "averageValue"})


def is_empty(value: Any) -> bool:
    """Tell whether the API server may drop a value because it says nothing."""
    return value is None or value in ({}, [])


def same(left: Any, right: Any, path: tuple[str | int, ...] = ()) -> bool:
    """Tell whether two values mean the same; `path` is where they lie in their object."""
    if isinstance(left, dict) and isinstance(right, dict):
        first, second = as_object(left), as_object(right)
        return all(same(first.get(key), second.get(key), (*path, key)) for key in first.keys() | second.keys())
    if isinstance(left, list) and isinstance(right, list):
        ones, others = as_list(left), as_list(right)
        return len(ones) == len(others) and all(
            same(one, other, (*path, index)) for index, (one, other) in enumerate(zip(ones, others, strict=True))
        )
    if is_empty(left) and is_empty(right):
        return True
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if left == right:
        return True
    return _is_quantity(path) and _same_quantity(left, right)


def _is_quantity(path: tuple[str | int, ...]) -> bool:
    if not path or path[0] != "spec":
        return False  # data, labels and the like are texts, whatever they look like
    return path[-1] in _QUANTITY_FIELDS or (len(path) > 1 and path[-2] in _QUANTITY_PARENTS)


def _same_quantity(left: Any, right: Any) -> bool:
    amounts = [_amount(value) for value in (left, right)]
    return None not in amounts and amounts[0] == amounts[1]


def _amount(value: Any) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    try:
        return Decimal(match[1]) * _SCALE[match[2] or ""]
    except InvalidOperation:
        return None
