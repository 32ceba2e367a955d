"""Asks a served model about many texts: in batches, with time limits, and again where that can help."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, cast

import httpx

from ml.contracts import SERVING_INPUT

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""Too busy or not there: the same request may succeed a moment later. Asking changes nothing, so repeating is safe."""
_OK: Final = 200
_LONGEST_PAUSE_SECONDS: Final = 5.0


class PredictionError(RuntimeError):
    """The model could not be asked, or refused.

    Attributes:
        status: the HTTP status of the last answer, None if there was none.
    """

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How to ask.

    Attributes:
        batch_size: texts per request.
        timeout_seconds: longest time for one attempt.
        attempts: how often a request is sent at most.
        first_pause_seconds: pause before the second attempt; it doubles with each further one.
        headers: sent with every request, for example `Host` for the gateway or the user's id.
    """

    batch_size: int = 64
    timeout_seconds: float = 10.0
    attempts: int = 4
    first_pause_seconds: float = 0.1
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.attempts < 1 or self.timeout_seconds <= 0 or self.first_pause_seconds < 0:
            raise ValueError(
                f"{self}: allowed are at least 1 for counts, more than 0 for the timeout, no negative pause"
            )


class PredictionClient:
    """Asks one model through one address; a context that closes its connections."""

    def __init__(
        self,
        address: str,
        model: str,
        settings: ClientSettings | None = None,
        *,
        version: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = settings or ClientSettings()
        target = f"/v1/models/{model}" if version is None else f"/v1/models/{model}/versions/{version}"
        self._path = f"{target}:predict"
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=address,
            timeout=self._settings.timeout_seconds,
            headers=dict(self._settings.headers),
            transport=transport,
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close open connections."""
        self._client.close()

    def predict(self, texts: Iterable[str]) -> Iterator[Any]:
        """Yield one prediction for each text, in order, while later batches are still to be asked.

        Raises:
            PredictionError: the model refuses a batch, or does not answer after all attempts.
        """
        for batch in _batches(texts, self._settings.batch_size):
            yield from self._predict_batch(batch)

    def _predict_batch(self, batch: Sequence[str]) -> list[Any]:
        body = {"instances": [{SERVING_INPUT: text} for text in batch]}
        failure = PredictionError("not asked", None)
        for attempt in range(self._settings.attempts):
            if attempt:
                self._sleep(self._pause(attempt))
            try:
                response = self._client.post(self._path, json=body)
            except httpx.TransportError as error:
                failure = PredictionError(f"{self._path}: {str(error) or type(error).__name__}", None)
                continue
            if response.status_code == _OK:
                return _predictions(response, len(batch))
            failure = PredictionError(
                f"{self._path}: answered {response.status_code}: {response.text[:300]}", response.status_code
            )
            if response.status_code not in _RETRYABLE:
                break
        raise failure

    def _pause(self, attempt: int) -> float:
        """Return a pause that grows with each attempt; a random part keeps clients from coming back all at once."""
        longest = min(_LONGEST_PAUSE_SECONDS, self._settings.first_pause_seconds * 2.0 ** (attempt - 1))
        return longest * (0.5 + 0.5 * random.random())  # noqa: S311 spreads load, no secret


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _predictions(response: httpx.Response, expected: int) -> list[Any]:
    try:
        predictions: object = response.json()["predictions"]
    except (ValueError, KeyError, TypeError) as error:
        raise PredictionError(f"the answer is not a predict response: {response.text[:300]}", _OK) from error
    if not isinstance(predictions, list) or len(cast("list[Any]", predictions)) != expected:
        raise PredictionError(f"the answer does not hold {expected} predictions: {response.text[:300]}", _OK)
    return cast("list[Any]", predictions)
