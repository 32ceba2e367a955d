"""Reads the annotations by which a program steers how one object is treated."""

from __future__ import annotations

from typing import Final

from local.provider import objects
from local.provider.values import Object

_PROPAGATION: Final = {"orphan": "Orphan", "background": "Background", "foreground": "Foreground"}


def timeout_seconds(inputs: Object) -> float | None:
    """Return the seconds that the time-out annotation gives, or None.

    Raises:
        ValueError: the annotation is not a positive number.
    """
    text = objects.annotation(inputs, objects.TIMEOUT_ANNOTATION)
    if text is None:
        return None
    seconds = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if seconds <= 0:
        raise ValueError(f"annotation {objects.TIMEOUT_ANNOTATION}={text!r}: allowed is a number of seconds above 0")
    return seconds


def propagation(inputs: Object) -> str:
    """Return how deletion treats what an object owns: by default it waits for it to go first.

    Raises:
        ValueError: the annotation has a value that is not allowed.
    """
    text = (objects.annotation(inputs, objects.PROPAGATION_ANNOTATION) or "foreground").lower()
    if text not in _PROPAGATION:
        raise ValueError(
            f"annotation {objects.PROPAGATION_ANNOTATION}={text!r}: allowed are {', '.join(sorted(_PROPAGATION))}"
        )
    return _PROPAGATION[text]
