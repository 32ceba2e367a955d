"""Keeps a slot's model server on the version that its registry alias names: `python -m ml.serving.sync`.

A loop around `decide_sync`: look around, decide, act, publish. Configuration comes from the environment:

- MODEL_NAME, MODEL_ALIAS: what to serve.
- MLFLOW_TRACKING_URI: the registry, `http://...`.
- MODEL_BASE_PATH (default /models): the folder shared with the server; versions go below `<base path>/<model>`.
- SERVER_REST_URL (default http://127.0.0.1:8501): the server beside it.
- SYNC_INTERVAL_SECONDS (default 10): how often to look while nothing changes.
- SYNC_PORT (default 8502): where `/readyz`, `/status` and `/metrics` are.
- SYNC_LOAD_TIMEOUT_SECONDS (default 300): how long a version may take to become available.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ml.contracts import MODELS_MOUNT, SAVED_MODEL_ARTIFACT, SERVING_REST_PORT, SYNC_PORT
from ml.serving.model_server import ModelServer
from ml.serving.registry import RegisteredVersion, Registry, RegistryError
from ml.serving.sync_core import (
    Action,
    Fetch,
    Memory,
    Observed,
    Park,
    Place,
    Remove,
    Verdict,
    Wanted,
    WarmUp,
    after_fetch_failure,
    after_warm_up,
    decide_sync,
)
from ml.serving.sync_status import SlotStatus, StatusBoard, serve_status
from ml.serving.version_store import VersionStore

_LOG = logging.getLogger("sync")
_MODEL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_BUSY_INTERVAL_SECONDS: Final = 0.5
_FIRST_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 300.0


class SettingsError(ValueError):
    """The environment lacks something or holds a value that is not allowed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Configuration of one slot's sync; the module's text says what each part means."""

    model: str
    alias: str
    registry_url: str
    base_path: Path
    server_url: str
    interval_seconds: float
    port: int
    load_timeout_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            SettingsError: naming every problem.
        """
        problems: list[str] = []
        texts = {name: environment.get(name, "") for name in ("MODEL_NAME", "MODEL_ALIAS", "MLFLOW_TRACKING_URI")}
        problems += [f"{name} is not set" for name, text in texts.items() if not text]
        if texts["MODEL_NAME"] and not _MODEL_NAME.fullmatch(texts["MODEL_NAME"]):
            problems.append(f"MODEL_NAME={texts['MODEL_NAME']!r}: allowed are letters, digits, hyphens and underscores")
        numbers = {
            name: _number(environment.get(name, default), name, least, most, problems)
            for name, default, least, most in (
                ("SYNC_INTERVAL_SECONDS", "10", 0.05, 3_600.0),
                ("SYNC_PORT", str(SYNC_PORT), 0.0, 65_535.0),
                ("SYNC_LOAD_TIMEOUT_SECONDS", "300", 1.0, 86_400.0),
            )
        }
        server_url = environment.get("SERVER_REST_URL", f"http://127.0.0.1:{SERVING_REST_PORT}")
        for name, url in (("MLFLOW_TRACKING_URI", texts["MLFLOW_TRACKING_URI"]), ("SERVER_REST_URL", server_url)):
            if url and not url.startswith(("http://", "https://")):
                problems.append(f"{name}={url!r}: allowed is an http:// or https:// address")
        if problems:
            raise SettingsError("; ".join(problems))
        return cls(
            model=texts["MODEL_NAME"],
            alias=texts["MODEL_ALIAS"],
            registry_url=texts["MLFLOW_TRACKING_URI"],
            base_path=Path(environment.get("MODEL_BASE_PATH", MODELS_MOUNT)),
            server_url=server_url,
            interval_seconds=numbers["SYNC_INTERVAL_SECONDS"],
            port=int(numbers["SYNC_PORT"]),
            load_timeout_seconds=numbers["SYNC_LOAD_TIMEOUT_SECONDS"],
        )


class Sync:
    """The loop's body, with its tools and what it remembers."""

    def __init__(self, settings: Settings, *, registry: Registry, server: ModelServer, store: VersionStore) -> None:
        self._settings = settings
        self._registry = registry
        self._server = server
        self._store = store
        self._memory = store.load_memory()
        self._versions: dict[Wanted, RegisteredVersion] = {}
        self._registry_error = ""
        self._fetches = 0
        self._fetch_failures = 0
        self.board = StatusBoard(SlotStatus(model=settings.model, alias=settings.alias))

    def step(self, now: float) -> bool:
        """Look, decide and act once; return whether more is to be done soon."""
        observed = self._observe()
        before = self._memory
        verdict = decide_sync(before, observed, now, load_timeout_seconds=self._settings.load_timeout_seconds)
        self._memory = verdict.memory
        _log_changes(before, verdict)
        for action in verdict.actions:
            self._act(action, now)
        if self._memory != before:
            self._store.save_memory(self._memory)
        self._publish(verdict, observed)
        return bool(verdict.actions) or verdict.phase == "loading"

    def _observe(self) -> Observed:
        wanted: Wanted | None = None
        try:
            version = self._registry.version_by_alias(self._settings.model, self._settings.alias)
        except RegistryError as error:
            if str(error) != self._registry_error:
                _LOG.warning("event=registry_unreachable error=%r", str(error))
            self._registry_error = str(error)
        else:
            self._registry_error = ""
            if version is not None:
                wanted = Wanted(version.version, version.identity)
                self._versions = {wanted: version}
        return Observed(
            registry_reachable=not self._registry_error,
            wanted=wanted,
            placed=self._store.placed(),
            parked=self._store.parked(),
            server=self._server.versions(),
        )

    def _act(self, action: Action, now: float) -> None:
        match action:
            case Fetch(wanted):
                self._fetch(wanted, now)
            case WarmUp(version):
                error = self._server.warm_up(version)
                self._memory = after_warm_up(self._memory, version, error)
                _LOG.info("event=warm_up version=%d error=%r", version, error or "")
            case Place(version):
                self._store.place(version)
                _LOG.info("event=placed version=%d", version)
            case Park(version):
                self._store.park(version)
                _LOG.info("event=parked version=%d", version)
            case Remove(version):
                self._store.remove(version)
                _LOG.info("event=removed version=%d", version)

    def _fetch(self, wanted: Wanted, now: float) -> None:
        version = self._versions.get(wanted)
        if version is None:
            return  # the registry has not answered since the start, so the files' address is not known yet
        started = time.monotonic()
        self._fetches += 1
        try:
            self._store.add(wanted, lambda folder: self._registry.download(version, SAVED_MODEL_ARTIFACT, folder))
        except (RegistryError, OSError) as error:
            self._fetch_failures += 1
            self._memory = after_fetch_failure(
                self._memory, str(error), now, first_pause=_FIRST_PAUSE_SECONDS, longest_pause=_LONGEST_PAUSE_SECONDS
            )
            _LOG.warning("event=fetch_failed version=%d error=%r", wanted.version, str(error))
        else:
            _LOG.info("event=fetched version=%d seconds=%.2f", wanted.version, time.monotonic() - started)

    def _publish(self, verdict: Verdict, observed: Observed) -> None:
        memory = self._memory
        self.board.publish(
            SlotStatus(
                model=self._settings.model,
                alias=self._settings.alias,
                phase=verdict.phase,
                ready=verdict.ready,
                wanted_version=memory.wanted.version if memory.wanted is not None else None,
                serving_version=verdict.serving,
                error=memory.failed or memory.fetch_error or self._registry_error,
                registry_reachable=observed.registry_reachable,
                fetches=self._fetches,
                fetch_failures=self._fetch_failures,
                checked_at=time.time(),
            )
        )


def main(environment: Mapping[str, str]) -> int:
    """Run until a signal ends it; return the exit status."""
    logging.basicConfig(
        level=logging.INFO, format="time=%(asctime)s level=%(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(environment)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stopping = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    run(settings, stopping)
    return 0


def run(settings: Settings, stopping: threading.Event) -> None:
    """Keep the slot in step until `stopping` is set."""
    sync = Sync(
        settings,
        registry=Registry(settings.registry_url),
        server=ModelServer(settings.server_url, settings.model),
        store=VersionStore(settings.base_path, settings.model),
    )
    http = serve_status(sync.board, settings.port)
    _LOG.info("event=started model=%s alias=%s", settings.model, settings.alias)
    try:
        busy = True
        while not stopping.wait(
            min(_BUSY_INTERVAL_SECONDS, settings.interval_seconds) if busy else settings.interval_seconds
        ):
            try:
                busy = sync.step(time.monotonic())
            except OSError as error:
                busy = False
                _LOG.error("event=step_failed error=%r", str(error))
    finally:
        http.shutdown()


def _log_changes(before: Memory, verdict: Verdict) -> None:
    if verdict.memory.wanted != before.wanted:
        _LOG.info("event=wanted version=%s", verdict.memory.wanted.version if verdict.memory.wanted else None)
    if verdict.memory.failed is not None and verdict.memory.failed != before.failed:
        _LOG.error("event=version_failed error=%r", verdict.memory.failed)


def _number(text: str, name: str, least: float, most: float, problems: list[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        problems.append(f"{name}={text!r}: allowed is a number from {least:g} to {most:g}")
    return value


if __name__ == "__main__":
    sys.exit(main(os.environ))
