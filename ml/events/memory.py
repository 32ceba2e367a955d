"""The event store in memory: the same semantics as on PostgreSQL, held to the same tests. For tests and simulations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ml.events.ports import Stored, VersionConflictError
from ml.events.types import EXPERIMENT_PREFIX, FINAL_PHASES, AnyEvent, ExperimentCreated, PhaseEntered


class MemoryEventStore:
    """Streams that live as long as the object."""

    def __init__(self) -> None:
        self._streams: defaultdict[str, list[Stored]] = defaultdict(list)
        self._log: list[Stored] = []

    async def append(self, stream: str, expected: int, events: Sequence[AnyEvent]) -> int:
        """Append all events or none; see `ml.events.ports.EventStore`."""
        length = len(self._streams[stream])
        if length != expected:
            raise VersionConflictError(f"stream {stream} has {length} events; expected were {expected}")
        new = [Stored(stream=stream, position=expected + number, event=event) for number, event in enumerate(events, 1)]
        self._streams[stream] += new
        self._log += new
        return expected + len(new)

    async def read(self, stream: str, after: int = 0) -> Sequence[Stored]:
        """Return the events of a stream after a position, in order."""
        return tuple(self._streams[stream][after:])

    async def unfinished(self) -> Sequence[str]:
        """Return the ids of experiments that were admitted and are in no final phase."""
        newest: dict[str, bool] = {}
        for stored in self._log:
            if isinstance(stored.event, ExperimentCreated):
                newest[stored.stream] = True
            elif isinstance(stored.event, PhaseEntered):
                newest[stored.stream] = stored.event.phase not in FINAL_PHASES
        return sorted(stream.removeprefix(EXPERIMENT_PREFIX) for stream, open_ in newest.items() if open_)

    async def log(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, Stored]]:
        """Return events of all streams in the order in which they were appended, each with its place in that order."""
        return tuple(enumerate(self._log[after : after + limit], after + 1))
