"""One served model: finds its versions on disk, loads and unloads them in the background, and hands them out."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from local.modelserver.lifecycle import State, VersionState, plan
from local.modelserver.monitoring import Metrics
from local.modelserver.servable import Servable, SessionSettings
from local.modelserver.status import Code, StatusError, invalid_argument, not_found
from local.modelserver.text_proto import ModelConfig
from local.modelserver.warm_up import warm_up

_LOG = logging.getLogger(__name__)
_MICROSECONDS: Final = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """How versions are loaded.

    Attributes:
        session: what TensorFlow may use.
        maximum_retries: attempts after the first that failed.
        retry_interval_seconds: pause between attempts.
        enable_warm_up: whether a model's own requests are replayed before it is available.
        warm_up_iterations: how often each is sent.
    """

    session: SessionSettings
    maximum_retries: int
    retry_interval_seconds: float
    enable_warm_up: bool
    warm_up_iterations: int


class Model:
    """The versions of one model and their states; safe to use from several threads."""

    def __init__(self, config: ModelConfig, settings: LoadSettings, metrics: Metrics) -> None:
        self.config = config
        self._settings = settings
        self._metrics = metrics
        self._lock = threading.Lock()
        self._versions: dict[int, VersionState] = {}
        self._servables: dict[int, Servable] = {}
        self._stopping = threading.Event()

    def reconcile(self, executor: Executor) -> None:
        """Look at the disk once and start what follows from it."""
        wanted = self.config.policy.wanted(versions_on_disk(self.config.base_path))
        with self._lock:
            steps = plan(wanted, self._versions)
            for number in steps.unblock:
                self._versions[number] = dataclasses.replace(self._versions[number], blocked=False)
            for number in steps.load:
                self._versions[number] = VersionState(State.START)
            for number in steps.unload:
                self._versions[number] = VersionState(State.UNLOADING)
        if not wanted and not self._versions:
            _LOG.warning(
                "No versions of servable %s found under base path %s. Did you forget to name your leaf directory as a "
                "number (eg. '/1/')?",
                self.config.name,
                self.config.base_path,
            )
        for number in steps.load:
            executor.submit(self._guarded, self._load, number)
        for number in steps.unload:
            executor.submit(self._guarded, self._unload, number)

    def states(self) -> dict[int, VersionState]:
        """Return the state of every version seen so far, highest number first."""
        with self._lock:
            return dict(sorted(self._versions.items(), reverse=True))

    @contextmanager
    def available(self, version: int | None = None, label: str | None = None) -> Generator[tuple[int, Servable]]:
        """Hold a version that can answer, and its number: the given or labelled one, else the highest.

        It stays in memory until the block ends, whatever happens on disk meanwhile.

        Raises:
            StatusError: the label is unknown, or no such version is available.
        """
        with ExitStack() as held:
            with self._lock:
                number, servable = self._find(self._version_of(label) if label is not None else version)
                held.enter_context(servable)
            yield number, servable

    def stop(self) -> None:
        """Give up pending retries and take every version out of service."""
        self._stopping.set()
        with self._lock:
            servables = list(self._servables.values())
            self._servables.clear()
        for servable in servables:
            servable.close()

    def _version_of(self, label: str) -> int:
        if label not in self.config.labels:
            raise invalid_argument(f"Unrecognized servable version label: {label}")
        return self.config.labels[label]

    def _find(self, version: int | None) -> tuple[int, Servable]:
        number = max(self._servables, default=None) if version is None else version
        if number is None or number not in self._servables:
            name = self.config.name
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise not_found(f"Servable not found for request: {asked}")
        return number, self._servables[number]

    def _guarded(self, step: Callable[[int], None], number: int) -> None:
        try:
            step(number)
        except Exception as error:  # noqa: BLE001 one version must not end the server
            _LOG.exception("servable %s version %d", self.config.name, number)
            self._end(number, StatusError(Code.INTERNAL, f"{type(error).__name__}: {error}"))

    def _load(self, number: int) -> None:
        self._set(number, VersionState(State.LOADING))
        error: StatusError | None = None
        for attempt in range(self._settings.maximum_retries + 1):
            if attempt:
                _LOG.info("Retrying of loading servable %s version %d: %d", self.config.name, number, attempt)
                if self._stopping.wait(self._settings.retry_interval_seconds) or not self._still_wanted(number):
                    break
            try:
                servable = self._load_once(self.config.base_path / str(number))
            except StatusError as failure:
                error = failure
                _LOG.warning("Loading servable: %s version: %d failed: %s", self.config.name, number, failure)
            else:
                self._publish(number, servable)
                return
        self._end(number, error)

    def _load_once(self, path: Path) -> Servable:
        started = time.monotonic()
        try:
            servable = Servable(path, self._settings.session)
        except StatusError:
            self._metrics.load_attempts.add(str(path), "fail")
            raise
        self._metrics.load_attempts.add(str(path), "success")
        self._metrics.load_latency.add(str(path), amount=int((time.monotonic() - started) * _MICROSECONDS))
        if self._settings.enable_warm_up:
            self._warm_up(servable)
        return servable

    def _warm_up(self, servable: Servable) -> None:
        started = time.monotonic()
        status = Code.OK.name
        try:
            records = warm_up(servable, iterations=self._settings.warm_up_iterations)
            _LOG.info("Finished warmup of %s. Number of warmup records read: %d", servable.path, records)
        except StatusError as error:
            status = error.code.name
            servable.close()
            raise
        finally:
            elapsed = (time.monotonic() - started) * _MICROSECONDS
            self._metrics.warm_up_latency.observe(elapsed, str(servable.path), status)

    def _publish(self, number: int, servable: Servable) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._servables[number] = servable
                self._versions[number] = VersionState(State.AVAILABLE)
                _LOG.info("Successfully loaded servable version {name: %s version: %d}", self.config.name, number)
                return
        servable.close()

    def _unload(self, number: int) -> None:
        _LOG.info("Quiescing servable version {name: %s version: %d}", self.config.name, number)
        with self._lock:
            servable = self._servables.pop(number)
        servable.close()
        self._end(number, None)
        _LOG.info("Done unloading servable version {name: %s version: %d}", self.config.name, number)

    def _still_wanted(self, number: int) -> bool:
        return number in self.config.policy.wanted(versions_on_disk(self.config.base_path))

    def _end(self, number: int, error: StatusError | None) -> None:
        self._set(number, VersionState(State.END, error, blocked=error is not None))

    def _set(self, number: int, version: VersionState) -> None:
        with self._lock:
            self._versions[number] = version


def versions_on_disk(base_path: Path) -> frozenset[int]:
    """Return the numbers that name folders under a base path; anything else there is ignored."""
    try:
        return frozenset(
            int(entry.name)
            for entry in base_path.iterdir()
            if entry.name.isascii() and entry.name.isdigit() and entry.is_dir()
        )
    except OSError as error:
        _LOG.warning("Could not find base path %s for servable: %s", base_path, error)
        return frozenset()
