"""Counters and histograms with TensorFlow Serving's names, labels and buckets, printed as its exporter prints them."""

from __future__ import annotations

import bisect
import re
import threading
from typing import Final

_BUCKET_START: Final = 10.0
_BUCKET_GROWTH: Final = 1.8
_BUCKETS: Final = 33
_MAXIMUM_CELLS: Final = 1_000
"""Label sets per metric. Model names come from clients' URLs; without a bound they could fill the memory."""

LATENCY_LIMITS_MICROSECONDS: Final = tuple(_BUCKET_START * _BUCKET_GROWTH**power for power in range(_BUCKETS))


class Counter:
    """A number per set of labels that only grows."""

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self._name = prometheus_name(name)
        self._labels = labels
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], int] = {}

    def add(self, *values: str, amount: int = 1) -> None:
        """Count `amount` more for these label values."""
        with self._lock:
            if values in self._cells or len(self._cells) < _MAXIMUM_CELLS:
                self._cells[values] = self._cells.get(values, 0) + amount

    def lines(self) -> list[str]:
        """Return the metric in Prometheus' text form; a metric that never counted has only its type."""
        with self._lock:
            cells = sorted(self._cells.items())
        return [
            f"# TYPE {self._name} counter",
            *(f"{self._name}{{{_label_text(self._labels, values)}}} {count}" for values, count in cells),
        ]


class Histogram:
    """Durations per set of labels, counted in buckets, in microseconds."""

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self._name = prometheus_name(name)
        self._labels = labels
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, ...], _Cell] = {}

    def observe(self, microseconds: float, *values: str) -> None:
        """Count one duration for these label values."""
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                if len(self._cells) >= _MAXIMUM_CELLS:
                    return
                cell = self._cells[values] = _Cell()
            cell.add(microseconds)

    def lines(self) -> list[str]:
        """Return the metric in Prometheus' text form."""
        with self._lock:
            cells = [(values, list(cell.counts), cell.total) for values, cell in sorted(self._cells.items())]
        lines = [f"# TYPE {self._name} histogram"]
        for values, counts, total in cells:
            labels = _label_text(self._labels, values)
            cumulative = 0
            for limit, count in zip((*map(_number, LATENCY_LIMITS_MICROSECONDS), "+Inf"), counts, strict=True):
                cumulative += count
                lines.append(f'{self._name}_bucket{{{labels},le="{limit}"}} {cumulative}')
            lines.append(f"{self._name}_sum{{{labels}}} {_number(total)}")
            lines.append(f"{self._name}_count{{{labels}}} {cumulative}")
        return lines


class _Cell:
    def __init__(self) -> None:
        self.counts = [0] * (_BUCKETS + 1)
        self.total = 0.0

    def add(self, microseconds: float) -> None:
        self.counts[bisect.bisect_right(LATENCY_LIMITS_MICROSECONDS, microseconds)] += 1
        self.total += microseconds


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        self.requests = Counter("/tensorflow/serving/request_count", ("model_name", "status"))
        self.request_latency = Histogram("/tensorflow/serving/request_latency", ("model_name", "API", "entrypoint"))
        self.runtime_latency = Histogram("/tensorflow/serving/runtime_latency", ("model_name", "API", "runtime"))
        self.load_attempts = Counter("/tensorflow/cc/saved_model/load_attempt_count", ("model_path", "status"))
        self.load_latency = Counter("/tensorflow/cc/saved_model/load_latency", ("model_path",))
        self.warm_up_latency = Histogram("/tensorflow/serving/model_warmup_latency", ("model_path", "status"))

    def page(self) -> bytes:
        """Return the page that Prometheus reads."""
        metrics = (
            self.load_attempts,
            self.load_latency,
            self.warm_up_latency,
            self.requests,
            self.request_latency,
            self.runtime_latency,
        )
        return ("\n".join(line for metric in metrics for line in metric.lines()) + "\n").encode(
            "utf-8", "backslashreplace"
        )


def prometheus_name(name: str) -> str:
    """Return a TensorFlow metric's name as its exporter spells it: every other character becomes a colon."""
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def _label_text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:g}"
