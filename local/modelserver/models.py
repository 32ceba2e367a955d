"""All served models: one thread that watches the disk, and the pools that load and unload."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from local.modelserver.lifecycle import State
from local.modelserver.model import Model
from local.modelserver.status import Code, StatusError, not_found

_LOG = logging.getLogger(__name__)
_START_CHECK_SECONDS: Final = 0.05


class Models:
    """The models by name; every request finds its version here."""

    def __init__(self, models: Sequence[Model], *, poll_interval_seconds: float, load_threads: int) -> None:
        self._models = {model.config.name: model for model in models}
        self._poll_interval_seconds = poll_interval_seconds
        self._executor = ThreadPoolExecutor(max(1, load_threads), thread_name_prefix="load")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        """Start watching the disk."""
        self._thread.start()

    def wait_until_available(self, cancelled: Callable[[], bool]) -> None:
        """Wait until each model has a version that answers; forever if its folder stays empty.

        Raises:
            StatusError: a model has no version left that could still become available.
        """
        pending = list(self._models.values())
        while pending and not cancelled():
            pending = [model for model in pending if not _has_available(model)]
            time.sleep(_START_CHECK_SECONDS)

    def get(self, name: str, version: int | None = None) -> Model:
        """Return a model.

        Raises:
            StatusError: it is not configured; the message names the version that was asked for.
        """
        if name not in self._models:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        return self._models[name]

    def find(self, name: str) -> Model | None:
        """Return a model, None if it is not configured."""
        return self._models.get(name)

    def stop(self) -> None:
        """Stop watching and take all versions out of service."""
        self._stopping.set()
        self._thread.join()
        for model in self._models.values():
            model.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _watch(self) -> None:
        while True:
            for model in self._models.values():
                try:
                    model.reconcile(self._executor)
                except Exception:  # noqa: BLE001 one model must not stop the watch over the others
                    _LOG.exception("could not look at the versions of %s", model.config.name)
            if self._poll_interval_seconds <= 0 or self._stopping.wait(self._poll_interval_seconds):
                return


def _has_available(model: Model) -> bool:
    states = model.states()
    if any(version.state is State.AVAILABLE for version in states.values()):
        return True
    errors = {number: version.error for number, version in states.items() if version.error is not None}
    if errors and len(errors) == len(states):
        details = ", ".join(
            f"{{Name: {model.config.name} Version: {number} due to error: {error}}}" for number, error in errors.items()
        )
        raise StatusError(Code.UNKNOWN, f"{len(errors)} servable(s) did not become available: {{{details}}}")
    return False
