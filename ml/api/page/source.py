"""What the page shows and does, behind an interface: where it comes from is the application's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ml.events.types import CommandAction, Phase
from ml.reporting.experiment.results import ExperimentResults

SCOPE_READ: Final = "read"
SCOPE_DECIDE: Final = "decide"


class RefusedError(Exception):
    """A command was not taken; title and detail are for people."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Whoever is signed in."""

    subject: str
    scopes: frozenset[str]

    @property
    def may_decide(self) -> bool:
        """Whether commands are offered."""
        return SCOPE_DECIDE in self.scopes


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """One line of the list."""

    name: str
    model: str
    phase: Phase
    message: str
    weights: dict[str, int]
    created_at: float
    ended_at: float | None
    by: str


@dataclass(frozen=True, kw_only=True)
class ExperimentRows:
    """One page of the list; `next_cursor` leads to the next one."""

    rows: Sequence[ExperimentRow]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """One line of the decision log."""

    position: int
    at: float
    action: str
    reasons: Sequence[str]
    weights: dict[str, int]
    hash: str
    previous_hash: str


@dataclass(frozen=True, kw_only=True)
class CommandRow:
    """What somebody asked for, and what came of it."""

    at: float
    action: str
    arm: str | None
    by: str
    why: str
    source: str
    accepted: bool | None
    """None while the controller has not answered."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which experiments the list shows; empty means all."""

    model: str = ""
    phase: str = ""
    name: str = ""


class PageSource(Protocol):
    """Reads and commands of the page."""

    async def visitor(self, token: str) -> Visitor | None:
        """Return whom a token belongs to; None if it is not valid."""
        ...

    async def experiments(self, filters: Filters, cursor: str | None) -> ExperimentRows:
        """Return a page of the list, newest first."""
        ...

    async def models(self) -> Sequence[str]:
        """Return the models to filter by."""
        ...

    async def results(self, name: str) -> ExperimentResults | None:
        """Return what is known of an experiment; None if there is none of that name."""
        ...

    async def decisions(self, experiment: str, before: int | None, limit: int) -> Sequence[DecisionRow]:
        """Return the newest decisions of an experiment (by id), before a position, newest first."""
        ...

    async def commands(self, experiment: str) -> Sequence[CommandRow]:
        """Return the newest commands of an experiment (by id), newest first."""
        ...

    async def issue(
        self, visitor: Visitor, name: str, action: CommandAction, arm: str | None, why: str, once: str
    ) -> None:
        """Ask the controller for something; the same `once` again is the same command.

        Raises:
            RefusedError: not in this phase, no such experiment or arm.
        """
        ...
