"""Histories as JSON data, and what changed between two of them (a JSON merge patch, RFC 7396).

Floats keep all their digits, so whatever is put together from stored changes is the same to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ml.events.types import Document
from ml.experiments.history import EpochRecord, History, LookRecord
from ml.experiments.ratio import RatioSums


def canonical(value: object) -> str:
    """Return JSON in the one form that is hashed: keys sorted, no spaces, ASCII, no NaN.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


# Documents -----------------------------------------------------------------------------------------------------------
def history_document(history: History) -> Document:
    """Return a history as JSON data in which epochs and looks are keyed by their index, so that they can be patched."""
    return {
        "started_at": float(history.started_at),
        "epochs": {str(index): _epoch_document(epoch) for index, epoch in enumerate(history.epochs)},
        "looks": {str(index): _look_document(look) for index, look in enumerate(history.looks)},
        "dropped": list(history.dropped),
        "last_data_at": None if history.last_data_at is None else float(history.last_data_at),
        "variance_inflation": {name: float(factor) for name, factor in history.variance_inflation.items()},
    }


def history_from(document: Mapping[str, Any]) -> History:
    """Return the history that `history_document` wrote.

    Raises:
        ValueError: a key is missing or a value is out of range.
    """
    try:
        return History(
            started_at=document["started_at"],
            epochs=tuple(_epoch(item) for item in _in_order(document["epochs"])),
            looks=tuple(look_of(item) for item in _in_order(document["looks"])),
            dropped=tuple(document["dropped"]),
            last_data_at=document.get("last_data_at"),
            variance_inflation=dict(document["variance_inflation"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"history lacks or misplaces {error}: allowed is what `history_document` writes") from error


def _in_order(items: Mapping[str, Any]) -> list[Any]:
    return [items[str(index)] for index in range(len(items))]


def _epoch_document(epoch: EpochRecord) -> Document:
    return {
        "started_at": float(epoch.started_at),
        "weights": dict(epoch.weights),
        "units": dict(epoch.units),
        "metrics": {
            metric: {arm: _sums_document(sums) for arm, sums in arms.items()} for metric, arms in epoch.metrics.items()
        },
    }


def _epoch(document: Mapping[str, Any]) -> EpochRecord:
    return EpochRecord(
        started_at=document["started_at"],
        weights=dict(document["weights"]),
        units=dict(document["units"]),
        metrics={
            metric: {arm: RatioSums(*sums) for arm, sums in arms.items()}
            for metric, arms in document["metrics"].items()
        },
    )


def _sums_document(sums: RatioSums) -> list[float]:
    """Return the sums in the order of the fields; numbers that are whole may be written as int or float, so: float."""
    return [
        int(sums.n),
        float(sums.numerator),
        float(sums.denominator),
        float(sums.numerator_squares),
        float(sums.denominator_squares),
        float(sums.products),
    ]


def _look_document(look: LookRecord) -> Document:
    return {
        "at": float(look.at),
        "fractions": {arm: float(fraction) for arm, fraction in look.fractions.items()},
        "crossed": list(look.crossed),
        "final": look.final,
    }


def look_of(document: Mapping[str, Any]) -> LookRecord:
    """Return the look that a document describes."""
    return LookRecord(
        at=document["at"],
        fractions=dict(document["fractions"]),
        crossed=tuple(document["crossed"]),
        final=document["final"],
    )


# Changes (RFC 7396) --------------------------------------------------------------------------------------------------
def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    """Return the smallest merge patch that turns `before` into `after`.

    None stands for "gone"; a key whose value is None counts as absent, so no other use of None is possible.
    """
    patch: Document = {}
    for key, value in after.items():
        old = before.get(key)
        if value is None:
            if old is not None:
                patch[key] = None
        elif (outer := _object(old)) is not None and (inner := _object(value)) is not None:
            if change := merge_patch(outer, inner):
                patch[key] = change
        elif repr(old) != repr(value):
            # Not by ==, for which 1, 1.0 and True are one, and 0.0 and -0.0 too.
            patch[key] = value
    patch.update({key: None for key, old in before.items() if old is not None and key not in after})
    return patch


def merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """Return `before` with a merge patch applied; nothing is changed in place."""
    result = {key: value for key, value in before.items() if value is not None}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif (inner := _object(value)) is not None:
            result[key] = merged(_object(result.get(key)) or {}, inner)
        else:
            result[key] = value
    return result


def _object(value: object) -> Document | None:
    return cast("Document", value) if isinstance(value, dict) else None
