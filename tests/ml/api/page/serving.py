"""The page behind a real HTTP server on loopback, with experiments in memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI

from ml.api.page import build_page_router
from ml.api.page.source import (
    CommandRow,
    DecisionRow,
    ExperimentRow,
    ExperimentRows,
    Filters,
    RefusedError,
    Visitor,
)
from ml.events.ports import Stored
from ml.events.types import CommandAction, CommandHandled, CommandIssued, DecisionMade
from ml.reporting.experiment.results import ExperimentResults
from tests.ml.api.page.simulated import Simulated

READ_TOKEN = "r" * 40
DECIDE_TOKEN = "d" * 40
WRITE_TOKEN = "w" * 40
_SCOPES = {
    READ_TOKEN: ("reader", {"read"}),
    DECIDE_TOKEN: ("grace", {"read", "write", "decide"}),
    WRITE_TOKEN: ("app", {"write"}),
}


@dataclass
class MemorySource:
    """Answers from simulated experiments; what is asked for is kept."""

    experiments_by_name: dict[str, Simulated] = field(default_factory=dict[str, Simulated])
    issued: list[tuple[str, str, str, str | None, str]] = field(
        default_factory=list[tuple[str, str, str, str | None, str]]
    )
    seen: set[str] = field(default_factory=set[str])
    page_size: int = 50

    def put(self, *experiments: Simulated) -> None:
        for experiment in experiments:
            self.experiments_by_name[experiment.name] = experiment

    async def visitor(self, token: str) -> Visitor | None:
        known = _SCOPES.get(token)
        return Visitor(subject=known[0], scopes=frozenset(known[1])) if known else None

    async def experiments(self, filters: Filters, cursor: str | None) -> ExperimentRows:
        rows = [
            ExperimentRow(
                name=results.name,
                model=results.model,
                phase=results.phase,
                message=results.message,
                weights=results.weights,
                created_at=results.created_at,
                ended_at=results.ended_at,
                by=results.by,
            )
            for results in (experiment.results() for experiment in self.experiments_by_name.values())
            if filters.model in ("", results.model)
            and filters.phase in ("", results.phase)
            and results.name.startswith(filters.name)
        ]
        if cursor is not None and not cursor.isdigit():
            raise RefusedError(400, "Bad cursor", f"cursor={cursor!r}: allowed is one from a page before")
        start = int(cursor or 0)
        end = start + self.page_size
        return ExperimentRows(rows=rows[start:end], next_cursor=str(end) if end < len(rows) else None)

    async def models(self) -> Sequence[str]:
        return sorted({e.results().model for e in self.experiments_by_name.values()})

    async def results(self, name: str) -> ExperimentResults | None:
        found = self.experiments_by_name.get(name)
        return found.results() if found else None

    async def decisions(self, experiment: str, before: int | None, limit: int) -> Sequence[DecisionRow]:
        rows = [
            DecisionRow(
                position=stored.position,
                at=stored.event.at,
                action=stored.event.decision["action"],
                reasons=[reason["message"] for reason in stored.event.decision["reasons"]],
                weights=stored.event.decision["weights"],
                hash=stored.event.hash,
                previous_hash=stored.event.previous_hash,
            )
            for stored in self._stored(experiment)
            if isinstance(stored.event, DecisionMade) and (before is None or stored.position < before)
        ]
        return rows[::-1][:limit]

    async def commands(self, experiment: str) -> Sequence[CommandRow]:
        events = [stored.event for stored in self._stored(experiment)]
        handled = {event.command: event for event in events if isinstance(event, CommandHandled)}
        return [
            CommandRow(
                at=event.at,
                action=event.action,
                arm=event.arm,
                by=event.by,
                why=event.why,
                source=event.source,
                accepted=handled[event.command].accepted if event.command in handled else None,
                message=handled[event.command].message if event.command in handled else "",
            )
            for event in reversed(events)
            if isinstance(event, CommandIssued)
        ]

    async def issue(
        self, visitor: Visitor, name: str, action: CommandAction, arm: str | None, why: str, once: str
    ) -> None:
        found = self.experiments_by_name.get(name)
        if found is None:
            raise RefusedError(404, "Not found", f"no experiment named {name!r}")
        if found.results().is_over:
            raise RefusedError(409, "Wrong phase", f"phase={found.phase!r}: allowed is a phase that has not ended")
        if once in self.seen:
            return
        self.seen.add(once)
        self.issued.append((visitor.subject, name, action, arm, why))

    def _stored(self, experiment: str) -> Sequence[Stored]:
        return next(e.stored() for e in self.experiments_by_name.values() if e.id == experiment)


@contextmanager
def serving(app: FastAPI) -> Generator[str]:
    """Serve an application on a free port of loopback while the body runs; gives its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def page_app(source: MemorySource, now: float) -> FastAPI:
    app = FastAPI()
    app.include_router(build_page_router(source, clock=lambda: now))
    return app
