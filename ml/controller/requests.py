"""Requests as the gateway counted them, from Prometheus: `ml.controller.ports.Requests` for real."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, Final

import httpx

from ml.contracts import GATEWAY_LATENCY_SERIES, GATEWAY_REQUESTS_SERIES, kube_name
from ml.controller.documents import mapping
from ml.controller.ports import RequestTotal, RequestWindow, UnavailableError
from ml.controller.request_windows import Series, window

LOG: Final = logging.getLogger(__name__)
LONGEST_WINDOW_SECONDS: Final = 3600.0
"""Requests further back are not asked for: a controller that was away for longer goes on without them."""
_HOUR_SECONDS: Final = 3600
_NAMED_MODELS: Final = 20
"""With more models the question is asked for all of them, whatever they are."""


class PrometheusRequests:
    """Raw samples through Prometheus' HTTP API, from a client whose base address is Prometheus'."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def since(self, moments: Mapping[str, float]) -> Mapping[str, RequestWindow]:
        """Return each model's requests since its moment (seconds since 1970), for all models in few questions.

        Raises:
            UnavailableError: Prometheus did not answer, or not what was asked.
        """
        if not moments:
            return {}
        try:
            # The range ends at the store's own now; its clock may differ from this one's.
            now = float((await self._query("time()"))["result"][1])
            seconds = min(max(now - min(moments.values()), 0.0), LONGEST_WINDOW_SECONDS) + 1.0
            selector = _selector(moments)
            found = await asyncio.gather(
                *(
                    self._query(f"{series}{selector}[{round(seconds * 1000)}ms]")
                    for series in (GATEWAY_REQUESTS_SERIES, GATEWAY_LATENCY_SERIES)
                )
            )
            # Off the event loop: with hundreds of models this takes longer than a lease likes to wait.
            return await asyncio.to_thread(_windows, found[0], found[1], dict(moments))
        except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
            raise UnavailableError(f"Prometheus: {type(error).__name__} {error}") from error

    async def total(self, model: str, seconds: float) -> RequestTotal:
        """Return a model's requests of the last so many seconds; both numbers are 0 where there is nothing.

        For planning only: what Prometheus' own `increase` makes up at the edges of its data is small over days.

        Raises:
            UnavailableError: Prometheus did not answer, or not what was asked.
        """
        series = f'{GATEWAY_REQUESTS_SERIES}{{model="{kube_name(model)}"}}'
        window = f"{round(seconds)}s"
        try:
            requests, hours = await asyncio.gather(
                self._number(f"sum(increase({series}[{window}]))"),
                self._number(f"count_over_time(sum({series})[{window}:{_HOUR_SECONDS}s])"),
            )
        except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
            raise UnavailableError(f"Prometheus: {type(error).__name__} {error}") from error
        if not (math.isfinite(requests) and math.isfinite(hours)):
            raise UnavailableError(f"Prometheus: {requests} requests of {model} in {hours} hours")
        return RequestTotal(requests=requests, seconds=min(hours * _HOUR_SECONDS, seconds))

    async def _number(self, query: str) -> float:
        """Return the value of a question with one answer; 0 if there is none."""
        result = (await self._query(query))["result"]
        return float(result[0]["value"][1]) if result else 0.0

    async def _query(self, query: str) -> dict[str, Any]:
        response = await self._client.post("/api/v1/query", data={"query": query})
        document = mapping(response.json())
        if document.get("status") != "success":
            raise UnavailableError(f"Prometheus: {query}: HTTP {response.status_code} {document.get('error')}")
        return mapping(document.get("data"))


def _selector(moments: Mapping[str, float]) -> str:
    if len(moments) > _NAMED_MODELS:
        return ""
    return '{model=~"' + "|".join(sorted(kube_name(model) for model in moments)) + '"}'


def _windows(
    requests: Mapping[str, Any], latencies: Mapping[str, Any], moments: Mapping[str, float]
) -> dict[str, RequestWindow]:
    requests_by_model = read_series(requests, "code_class")
    latencies_by_model = read_series(latencies, "le")
    return {
        model: window(
            requests_by_model.get(kube_name(model), ()), latencies_by_model.get(kube_name(model), ()), since=moment
        )
        for model, moment in moments.items()
    }


def read_series(data: Mapping[str, Any], key: str) -> dict[str, list[Series]]:
    """Return by model the series of Prometheus' answer to a range selector.

    Raises:
        ValueError: it is no such answer, a series lacks a label, or two series are the same to us: which of them
            counts, or whether both do, is not known.
    """
    if data.get("resultType") != "matrix":
        raise ValueError(f"resultType={data.get('resultType')!r}: allowed is 'matrix'")
    found: dict[str, dict[tuple[str, str, str], Series]] = {}
    for entry in data["result"]:
        labels = entry["metric"]
        instance, slot, value = str(labels["instance"]), str(labels["slot"]), str(labels[key])
        if key == "le" and value != "+Inf":
            float(value)
        of_model = found.setdefault(str(labels["model"]), {})
        if (instance, slot, value) in of_model:
            raise ValueError(f"series with the same instance, model, slot and {key}: {labels}")
        samples = [(float(at), float(text)) for at, text in entry["values"]]
        of_model[(instance, slot, value)] = Series(instance=instance, slot=slot, key=value, samples=samples)
    return {model: list(series.values()) for model, series in found.items()}
