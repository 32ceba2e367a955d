"""Checks of arguments, shared by every topic: a bad value is a ValueError that names argument, value and allowed range.

Nothing below this line of defence has to think about NaN, infinities or empty samples, so that no function
of the library can answer with a NaN or a warning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Numbers = Sequence[float] | Sequence[int] | npt.NDArray[np.generic]

LARGEST_COUNT: Final = 2.0**53
"""Counts above this cannot be held exactly in a double."""


def _refuse(name: str, value: object, allowed: str) -> ValueError:
    return ValueError(f"{name}={value!r}: allowed is {allowed}")


def finite(
    name: str,
    value: float,
    *,
    above: float | None = None,
    below: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> float:
    """Return value as a finite float inside the range.

    Args:
        name: the argument's name, for the message.
        value: what the caller gave.
        above: exclusive lower limit.
        below: exclusive upper limit.
        minimum: inclusive lower limit.
        maximum: inclusive upper limit.

    Raises:
        ValueError: value is no number, not finite or outside the range.
    """
    limits = [
        text
        for text, limit in (
            (f"> {above}", above),
            (f">= {minimum}", minimum),
            (f"< {below}", below),
            (f"<= {maximum}", maximum),
        )
        if limit is not None
    ]
    allowed = "a finite number" + (" " + " and ".join(limits) if limits else "")
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _refuse(name, value, allowed) from error
    inside = (
        math.isfinite(number)
        and (above is None or number > above)
        and (below is None or number < below)
        and (minimum is None or number >= minimum)
        and (maximum is None or number <= maximum)
    )
    if not inside:
        raise _refuse(name, value, allowed)
    return number


def probability(name: str, value: float) -> float:
    """Return value as a float strictly between 0 and 1."""
    return finite(name, value, above=0.0, below=1.0)


def share(name: str, value: float) -> float:
    """Return value as a float from 0 to 1, both ends allowed."""
    return finite(name, value, minimum=0.0, maximum=1.0)


def positive(name: str, value: float) -> float:
    """Return value as a float above 0."""
    return finite(name, value, above=0.0)


def whole(name: str, value: float, minimum: int = 0, maximum: float = LARGEST_COUNT) -> int:
    """Return value as an int; floats are taken when they hold a whole number."""
    number = finite(name, value, minimum=float(minimum), maximum=float(maximum))
    if number != math.floor(number):
        raise _refuse(name, value, f"a whole number >= {minimum}")
    return int(number)


def successes(name_x: str, x: float, name_n: str, n: float) -> tuple[int, int]:
    """Return (x, n) as ints with 0 <= x <= n and n >= 1."""
    trials = whole(name_n, n, minimum=1)
    hits = whole(name_x, x)
    if hits > trials:
        raise _refuse(name_x, x, f"a whole number from 0 to {name_n}={trials}")
    return hits, trials


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return value when it is one of the allowed words."""
    if value not in allowed:
        raise _refuse(name, value, "one of " + ", ".join(allowed))
    return value


def vector(name: str, values: Numbers, minimum_size: int = 1) -> FloatArray:
    """Return values as a one-dimensional array of finite floats."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _refuse(name, values, "a sequence of finite numbers") from error
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions: allowed is one")
    if array.size < minimum_size:
        raise ValueError(f"{name} has {array.size} values: allowed are at least {minimum_size}")
    if not bool(np.all(np.isfinite(array))):
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name}[{position}]={array[position]}: allowed are finite numbers")
    return array


def count_vector(name: str, values: Numbers, minimum_size: int = 1) -> FloatArray:
    """Return values as an array of whole numbers >= 0."""
    array = vector(name, values, minimum_size)
    wrong = (array < 0) | (array != np.floor(array)) | (array > LARGEST_COUNT)
    if bool(np.any(wrong)):
        position = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name}[{position}]={array[position]}: allowed are whole numbers >= 0")
    return array


def weight_vector(name: str, values: Numbers, size: int | None = None) -> FloatArray:
    """Return weights >= 0 with a positive sum, scaled to sum to 1.

    Relative weights such as (1, 1, 2) or percentages are welcome; see `exact_share_vector` for the strict form.
    """
    array = vector(name, values)
    if size is not None and array.size != size:
        raise ValueError(f"{name} has {array.size} values: allowed are exactly {size}")
    if bool(np.any(array < 0)) or float(array.sum()) <= 0.0:
        raise ValueError(f"{name}={array.tolist()}: allowed are weights >= 0 with a sum > 0")
    return array / array.sum()


def exact_share_vector(name: str, values: Numbers, size: int | None = None) -> FloatArray:
    """Return shares >= 0 that sum to 1 within 1e-9."""
    array = vector(name, values)
    if abs(float(array.sum()) - 1.0) > 1e-9:
        raise ValueError(f"{name}={array.tolist()} sums to {float(array.sum())}: allowed is a sum of 1")
    return weight_vector(name, array, size)


def same_size(name_a: str, a: npt.NDArray[np.generic], name_b: str, b: npt.NDArray[np.generic]) -> None:
    """Raise a ValueError when the two arrays differ in length."""
    if a.size != b.size:
        raise ValueError(f"{name_a} has {a.size} values and {name_b} has {b.size}: allowed are equal lengths")


def increasing(name: str, values: Numbers) -> FloatArray:
    """Return positive, strictly increasing numbers (information never goes backwards)."""
    array = vector(name, values)
    if array[0] <= 0.0:
        raise ValueError(f"{name}[0]={array[0]}: allowed are numbers > 0")
    steps = np.diff(array)
    if bool(np.any(steps <= 0.0)):
        position = int(np.flatnonzero(steps <= 0.0)[0]) + 1
        raise ValueError(
            f"{name}[{position}]={array[position]}: allowed are numbers above the one before, "
            f"{array[position - 1]} (information never goes backwards)"
        )
    return array
