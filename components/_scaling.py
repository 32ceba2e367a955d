"""How many pods a part needs, as questions to Prometheus: builders of what autoscalers ask and of the rules about them.

An autoscaler reads an empty answer as zero and takes pods away. So a question here has an answer only if what it is
about was measured during the whole window: then silence means that nobody asks, and zero is true. Without such a
measurement there is no answer, which the autoscaler must take for an error and keep its pods.

Slots are scaled one by one, but every slot that holds a version is kept as large as the busiest slot of its model. A
ramp, a promotion and a rollback each move traffic at once; a slot that had to grow first would be slow just then, and
the experiment would blame its version. A slot without a version keeps its minimum and never less: it could not load
one otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ml.contracts import GATEWAY_MILLIS_SERIES, kube_name, slot_alias

MetricType = Literal["AverageValue", "Value"]
"""Whether the answer is shared out among the pods, or is the same for all of them."""

WANTED_SERIES: Final = "mlplatform:autoscaler_wanted:pods"
"""Pods that a measure asks for, by `scaler` and `measure`."""
MOST_SERIES: Final = "mlplatform:autoscaler_most:pods"
"""Pods that a `scaler` may have."""

_LEAST_SAMPLES: Final = 3
_WINDOW_SAMPLES: Final = 4


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One reason for more pods."""

    name: str
    query: str
    target: int
    """What one pod is meant to bear."""
    metric_type: MetricType = "AverageValue"


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Who decides about one Deployment's number of pods."""

    name: str
    """The Deployment's."""
    minimum: int
    maximum: int
    cpu_percent: int
    """Of the reserved CPU of the container `server`."""
    measures: tuple[Measure, ...] = ()


def window_seconds(scrape_interval_seconds: int) -> int:
    """Return the shortest window in which a rate is known although a sample is missing."""
    return _WINDOW_SAMPLES * scrape_interval_seconds


def in_flight(model: str, slot: str, window: int) -> str:
    """Ask for the requests that a slot has in hand at a time, by Little's law: the time that they take in a second.

    A gateway that does not answer is taken to carry as much as the others.
    """
    of_model = f'model="{kube_name(model)}"'
    own = _time(f'{of_model},slot="{slot}"', window)
    others = _time(of_model, window)
    version = f'max(mlplatform_sync_serving_version{{model="{model}",alias="{slot_alias(slot)}"}}) > 0'
    needed = f"max(({others} and on () ({version})) or {own} or vector(0)) / 1000"
    dark = 'count(up{job="gateway"}) / (sum(up{job="gateway"}) > 0)'
    return f"({needed}) * on () ({dark}) and on () ({_measured('gateway', window)})"


def request_rate(series: str, job: str, window: int) -> str:
    """Ask for the requests per second that all pods of a job answer together."""
    return f"(sum(rate({series}[{window}s])) or vector(0)) and on () ({_measured(job, window)})"


def gpu_use(namespace: str, deployment: str, *, sliced: bool) -> str:
    """Ask how busy the GPUs of a Deployment's pods are, in percent.

    A card in slices tells nothing by its utilisation; how long its engines are active does. No GPU measured, no answer.
    """
    series, factor = ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "100 * ") if sliced else ("DCGM_FI_DEV_GPU_UTIL", "")
    pods = f'namespace="{namespace}",pod=~"{deployment}-[a-z0-9]+-[a-z0-9]+"'
    return f"{factor}avg(avg_over_time({series}{{{pods}}}[1m]))"


def rules(scalers: Sequence[Scaler]) -> list[dict[str, Any]]:
    """Return what the alerts about autoscalers compare: what each measure asks for and what is the most.

    Left out are measures that are the same for all pods, and CPU: what they ask for depends on the pods there are.
    """
    found: list[dict[str, Any]] = []
    for scaler in scalers:
        shared = [measure for measure in scaler.measures if measure.metric_type == "AverageValue"]
        if not shared:
            continue
        labels = {"scaler": scaler.name}
        found.append({"record": MOST_SERIES, "expr": f"vector({scaler.maximum})", "labels": labels})
        found += [
            {
                "record": WANTED_SERIES,
                "expr": f"({measure.query}) / {measure.target}",
                "labels": {**labels, "measure": measure.name},
            }
            for measure in shared
        ]
    return found


def _time(labels: str, window: int) -> str:
    return f"sum by (slot) (rate({GATEWAY_MILLIS_SERIES}{{{labels}}}[{window}s]))"


def _measured(job: str, window: int) -> str:
    """Hold where somebody of a job answered all through the window."""
    up = f'up{{job="{job}"}}'
    steadily = f"min_over_time({up}[{window}s]) == 1 and count_over_time({up}[{window}s]) >= {_LEAST_SAMPLES}"
    return f"count({steadily}) > 0"
