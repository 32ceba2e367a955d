"""`mlp experiment replay`: nothing is believed, everything is derived again on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml.cli.errors import UserError
from ml.cli.experiment.answers import understood, write_file
from ml.cli.experiment.client import ApiClient
from ml.events.decisions import ReplayedDecision, replay
from ml.events.ports import Stored
from ml.events.types import EXPERIMENT_EVENTS
from ml.reporting.experiment.words import moment

_MOST_PROBLEMS: Final = 10

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of an experiment's decisions."""

    name: str
    events: int
    decisions: tuple[ReplayedDecision, ...]
    newest_hash: str

    @property
    def different(self) -> tuple[ReplayedDecision, ...]:
        """The decisions that are not what their inputs give, or not chained to the one before."""
        return tuple(item for item in self.decisions if not item.ok)

    @property
    def ok(self) -> bool:
        """Whether every decision is what it should be."""
        return not self.different

    def as_lines(self) -> list[str]:
        """Return the outcome for a person; the first difference comes first."""
        if self.ok:
            counted = f"{len(self.decisions)} decisions in {self.events} events"
            return [
                f"{self.name}: {counted} derived again, the same bit for bit",
                f"chain of hashes unbroken, newest: {self.newest_hash or '(no decision yet)'}",
            ]
        lines = [f"{self.name}: {len(self.different)} of {len(self.decisions)} decisions differ"]
        for item in self.different[:1]:
            lines.append(f"first difference at position {item.position}, {moment(item.at)}, decision `{item.action}`:")
            lines += [f"  {problem}" for problem in item.problems[:_MOST_PROBLEMS]]
        if all(item.chain_ok and item.inputs_ok for item in self.decisions):
            lines.append(
                "the chain of hashes and all inputs are sound: another version of the platform may have decided by "
                "another rule; derive it with that version"
            )
        return lines

    def as_data(self) -> Document:
        """Return the outcome as JSON data."""
        return {
            "name": self.name,
            "ok": self.ok,
            "events": self.events,
            "decisions": len(self.decisions),
            "newestHash": self.newest_hash,
            "different": [
                {"position": item.position, "at": item.at, "action": item.action, "problems": list(item.problems)}
                for item in self.different
            ],
        }


async def replay_experiment(api: ApiClient, name: str, save: Path | None = None) -> Replayed:
    """Download all events of an experiment and derive each decision again.

    Raises:
        UserError: an event cannot be read, events are missing, or the file cannot be written.
    """
    documents = await api.history(name)
    if save is not None:
        write_file(save, "".join(f"{json.dumps(item)}\n" for item in documents))
    events = [_stored(document) for document in documents]
    for expected, stored in enumerate(events, start=1):
        if stored.position != expected:
            raise UserError(
                f"the stream of {name} has position {stored.position} where {expected} belongs: events are missing",
                "see `mlp logs api`; a gap in a stream cannot be repaired",
            )
    decisions = tuple(replay(events))
    hashes = [stored.event.hash for stored in events if stored.event.type == "DecisionMade"]
    return Replayed(name=name, events=len(events), decisions=decisions, newest_hash=hashes[-1] if hashes else "")


def _stored(document: Document) -> Stored:
    with understood(f"the event at position {document.get('position', '?')}"):
        return Stored(
            stream=str(document["stream"]),
            position=int(document["position"]),
            # As JSON, not as Python data: tuples of the event are lists in what was downloaded.
            event=EXPERIMENT_EVENTS.validate_json(json.dumps(document["event"])),
        )
