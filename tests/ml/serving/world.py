"""A slot in miniature: registry, disk and model server as plain data, to run sync's decisions through any history.

The server follows TensorFlow Serving's rule for replacing versions (`local.modelserver.lifecycle`), which is tested
against real models elsewhere. Does not prove that files and requests work: test_slot.py does that.
"""

from __future__ import annotations

import dataclasses

from local.modelserver import lifecycle
from local.modelserver.lifecycle import State, VersionState
from local.modelserver.status import Code, StatusError
from ml.serving.sync_core import (
    Action,
    Fetch,
    Memory,
    Observed,
    Park,
    Place,
    Remove,
    ServedVersion,
    Verdict,
    Wanted,
    WarmUp,
    after_fetch_failure,
    after_warm_up,
    decide_sync,
)

LOAD_TIMEOUT_SECONDS = 60.0
TICK_SECONDS = 1.0


@dataclasses.dataclass
class World:
    """Everything around sync, and what has happened so far."""

    alias: Wanted | None = None
    registry_up: bool = True
    server_up: bool = True
    download_works: bool = True
    broken: set[int] = dataclasses.field(default_factory=set[int])
    """Versions that do not load."""
    mute: set[int] = dataclasses.field(default_factory=set[int])
    """Versions that load and then answer no prediction."""
    placed: dict[int, str] = dataclasses.field(default_factory=dict[int, str])
    parked: dict[int, str] = dataclasses.field(default_factory=dict[int, str])
    server: dict[int, VersionState] = dataclasses.field(default_factory=dict[int, VersionState])
    memory: Memory = dataclasses.field(default_factory=Memory)
    now: float = 0.0
    fetches: list[int] = dataclasses.field(default_factory=list[int])
    verdict: Verdict | None = None

    def set_alias(self, version: int | None, identity: str = "") -> None:
        """Point the alias to a version, or remove it."""
        self.alias = None if version is None else Wanted(version, identity or f"id-{version}")

    def available(self) -> set[int]:
        """Return the versions that the server can answer with."""
        return {number for number, version in self.server.items() if version.state is State.AVAILABLE}

    def restart_server(self) -> None:
        """Let the server forget everything and start again."""
        self.server.clear()

    def restart_sync(self) -> None:
        """Let sync forget what it does not write down."""
        kept = self.memory
        self.memory = Memory(wanted=kept.wanted, good=kept.good, previous=kept.previous, failed=kept.failed)

    def run_server(self) -> None:
        """Let the server look at the disk and finish what follows from it."""
        for _ in range(4):
            wanted = frozenset({max(self.placed)}) if self.placed else frozenset[int]()
            steps = lifecycle.plan(wanted, self.server)
            for number in steps.unblock:
                self.server[number] = dataclasses.replace(self.server[number], blocked=False)
            for number in steps.load:
                failed = VersionState(State.END, StatusError(Code.DATA_LOSS, "damaged"), blocked=True)
                self.server[number] = failed if number in self.broken else VersionState(State.AVAILABLE)
            for number in steps.unload:
                self.server[number] = VersionState(State.END)

    def run_sync(self, die_after: int | None = None) -> None:
        """Let sync look, decide and act; with `die_after` it is killed after that many actions and starts again."""
        verdict = decide_sync(self.memory, self._observe(), self.now, load_timeout_seconds=LOAD_TIMEOUT_SECONDS)
        self.memory, self.verdict = verdict.memory, verdict
        for position, action in enumerate(verdict.actions):
            if position == die_after:
                self.restart_sync()
                return
            self._act(action)

    def tick(self, die_after: int | None = None) -> None:
        """Let one interval pass."""
        if self.server_up:
            self.run_server()
        self.run_sync(die_after)
        if self.server_up:
            self.run_server()
        self.now += TICK_SECONDS

    def _observe(self) -> Observed:
        # The real server has no port before its first version.
        silent = not self.server_up or not any(version.state is State.AVAILABLE for version in self.server.values())
        first_loads = silent and all(version.error is None for version in self.server.values())
        return Observed(
            registry_reachable=self.registry_up,
            wanted=self.alias if self.registry_up else None,
            placed=dict(self.placed),
            parked=dict(self.parked),
            server=None if not self.server_up or first_loads else self._served(),
        )

    def _served(self) -> dict[int, ServedVersion]:
        return {
            number: ServedVersion(version.state.name, str(version.error or ""))
            for number, version in self.server.items()
        }

    def _act(self, action: Action) -> None:
        match action:
            case Fetch(wanted):
                self.fetches.append(wanted.version)
                if self.download_works:
                    self.placed[wanted.version] = wanted.identity
                else:
                    self.memory = after_fetch_failure(
                        self.memory, "no space left", self.now, first_pause=2.0, longest_pause=30.0
                    )
            case Place(version):
                self.placed[version] = self.parked.pop(version)
            case Park(version):
                self.parked[version] = self.placed.pop(version)
            case Remove(version):
                self.placed.pop(version, None)
                self.parked.pop(version, None)
            case WarmUp(version):
                answers = self.server_up and version in self.available() and version not in self.mute
                self.memory = after_warm_up(self.memory, version, None if answers else "answered 500")
