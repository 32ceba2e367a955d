"""From raw samples of the gateway's counters to requests per slot and stretch of time.

The metrics store's own rate() extrapolates, and takes what it does not know for zero. Here a stretch lies between two
moments at which every gateway instance has a sound sample; what is not known is left out, never zero:

- a moment at which a running instance has no sample, two samples that differ, or one that is no count, is no moment;
- a stretch in which an instance came or went, or that is too long, is left out for all slots of the model, because
  leaving out one instance would weigh the others' users more;
- counters that fall began anew at zero: then everything of that instance and slot counts from zero, since a counter
  that has outgrown its old value would otherwise look as if it had gone on;
- a counter that was not there at the beginning of a stretch, while its instance was, began in it at zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ml.controller.ports import RequestCounts, RequestWindow

LONGEST_STRETCH_SECONDS: Final = 90.0
_FAILED: Final = "5xx"
_ALL: Final = "+Inf"
_REQUESTS: Final = "requests"
_LATENCY: Final = "latency"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One counter's raw samples: pairs of seconds since 1970 and value, in whatever order they came."""

    instance: str
    slot: str
    key: str
    """`code_class` of a request counter, `le` of a latency counter."""
    samples: Sequence[tuple[float, float]]


_Counter = tuple[str, str, str]
"""Slot, kind, and class or edge."""


class _Instance:
    """One gateway instance's samples by moment: per counter its value."""

    def __init__(self) -> None:
        self.at: dict[float, dict[_Counter, float]] = {}
        self.broken: set[float] = set()
        self._first, self._last = math.inf, -math.inf

    def take(self, kind: str, series: Series) -> None:
        counter = (series.slot, kind, series.key)
        for moment, value in series.samples:
            known = self.at.setdefault(moment, {})
            sound = math.isfinite(moment) and math.isfinite(value) and value >= 0
            if not sound or known.get(counter, value) != value:
                self.broken.add(moment)
            else:
                known[counter] = value

    def has(self, moment: float) -> bool:
        return moment in self.at and moment not in self.broken and any(c[1] == _REQUESTS for c in self.at[moment])

    def lives(self, moment: float) -> bool:
        """Return whether the moment lies within what is known of this instance."""
        return self._first <= moment <= self._last

    def close(self) -> None:
        """Note the ends of what is known, once all samples are taken."""
        moments = [moment for moment in self.at if math.isfinite(moment)]
        self._first, self._last = min(moments, default=math.inf), max(moments, default=-math.inf)


def window(
    requests: Iterable[Series],
    latencies: Iterable[Series],
    *,
    since: float,
    longest_seconds: float = LONGEST_STRETCH_SECONDS,
) -> RequestWindow:
    """Return one model's requests since a moment.

    `above` of a stretch is empty where the latencies of its requests are not known. The gateway writes a request's
    latency somewhat later than the request, so in one stretch there may be more slow ones than requests: such an
    excess is cut off.
    """
    instances: dict[str, _Instance] = {}
    for kind, group in ((_REQUESTS, requests), (_LATENCY, latencies)):
        for series in group:
            instances.setdefault(series.instance, _Instance()).take(kind, series)
    for instance in instances.values():
        instance.close()
    living = list(instances.values())
    moments = sorted({moment for one in living for moment in one.at if math.isfinite(moment) and moment >= since})
    sound = [moment for moment in moments if all(one.has(moment) for one in living if one.lives(moment))]
    counts = [
        count
        for start, end in pairwise(sound)
        if end - start <= longest_seconds
        for count in _stretch(living, start, end)
    ]
    return RequestWindow(counts=counts, newest_at=sound[-1] if sound else None)


def _stretch(instances: Sequence[_Instance], start: float, end: float) -> list[RequestCounts]:
    present = [one for one in instances if one.lives(start) or one.lives(end) or _inside(one, start, end)]
    if not all(one.has(start) and one.has(end) for one in present):
        return []
    increases = [_increases(one, start, end) for one in present]
    slots = sorted({slot for increase in increases for slot, _, _ in increase})
    return [_count(slot, increases, start, end) for slot in slots]


def _inside(instance: _Instance, start: float, end: float) -> bool:
    return any(start < moment < end for moment in instance.at)


def _increases(instance: _Instance, start: float, end: float) -> dict[_Counter, float]:
    """Return by how much each counter of one instance grew."""
    path = [start, *sorted(m for m in instance.at if start < m < end and m not in instance.broken), end]
    total: dict[_Counter, float] = {}
    for before, after in pairwise([instance.at[moment] for moment in path]):
        restarted = {counter[0] for counter, value in before.items() if after.get(counter, 0.0) < value}
        for counter, value in after.items():
            base = 0.0 if counter[0] in restarted else before.get(counter, 0.0)
            total[counter] = total.get(counter, 0.0) + value - base
        for counter in before:
            total.setdefault(counter, 0.0)
    return total


def _count(slot: str, increases: Sequence[Mapping[_Counter, float]], start: float, end: float) -> RequestCounts:
    by_class = _summed(slot, _REQUESTS, increases)
    requests = sum(by_class.values())
    return RequestCounts(
        slot=slot,
        started_at=start,
        ended_at=end,
        requests=requests,
        failed=by_class.get(_FAILED, 0.0),
        above=_above(slot, increases, requests),
    )


def _above(slot: str, increases: Sequence[Mapping[_Counter, float]], requests: float) -> dict[int, float]:
    """Return per edge how many requests took longer; empty if an instance with requests told no latencies."""
    for increase in increases:
        answered = any(grown > 0 for (name, kind, _), grown in increase.items() if name == slot and kind == _REQUESTS)
        if answered and (slot, _LATENCY, _ALL) not in increase:
            return {}
    by_edge = _summed(slot, _LATENCY, increases)
    if _ALL not in by_edge:
        return {}
    edges = {edge: float(edge) for edge in by_edge if edge != _ALL}
    return {
        int(value): min(max(by_edge[_ALL] - by_edge[edge], 0.0), requests)
        for edge, value in sorted(edges.items(), key=lambda item: item[1])
        if value.is_integer()
    }


def _summed(slot: str, wanted: str, increases: Sequence[Mapping[_Counter, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for increase in increases:
        for (name, kind, key), grown in increase.items():
            if name == slot and kind == wanted:
                total[key] = total.get(key, 0.0) + grown
    return total
