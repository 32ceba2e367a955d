"""Decisions as they are stored: only what changed in the history, chained by hashes, and derived again for the record.

A decision's inputs are the specification, the whole history and the time. Writing the whole history each time would
store the same numbers thousands of times, so an event holds the JSON merge patch (RFC 7396) from the history of the
decision before. Applying the patches in order rebuilds every history exactly: floats keep all their digits in JSON.

What is covered by the hashes is everything in a stored decision. Whoever changes one value of it and leaves the rest is
found; whoever rewrites a whole stream, hashes included, is found only by comparison with a hash kept elsewhere (the
status of the `ABTest` has the newest one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ml.events.histories import canonical, history_document, history_from, merge_patch, merged
from ml.events.ports import Stored
from ml.events.types import DecisionMade, Document, ExperimentCreated
from ml.experiments.decision import Decision, decide
from ml.experiments.document import specification_from_document, to_document
from ml.experiments.history import History
from ml.experiments.specification import ExperimentSpec

NO_HASH: Final = "0" * 64
"""What the first decision has for the hash of the one before."""


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


# The chain -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Chain:
    """Where the decisions of an experiment stand: the history of the newest, and its hash."""

    hash: str = NO_HASH
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def after(self, event: DecisionMade) -> Chain:
        """Return the chain with one more decision (for the fold of a stream; nothing is verified here)."""
        return Chain(event.hash, merged(self.document, event.inputs))

    def history(self) -> History | None:
        """Return the history that the newest decision was based on; None before the first.

        Raises:
            ValueError: the stored changes do not give a history.
        """
        return history_from(self.document) if self.document else None


def record(
    chain: Chain,
    specification: ExperimentSpec,
    history: History,
    decision: Decision,
    cursors: Mapping[str, Any] | None = None,
) -> DecisionMade:
    """Return the event that stores a decision.

    Args:
        chain: of the stream so far (`Chain()` if it has no decision yet).
        specification: that was decided with.
        history: that was decided with.
        decision: what came out; its `at` is the event's.
        cursors: how far metric sources were read.
    """
    document = history_document(history)
    changes = merge_patch(chain.document, document)
    result, read = to_document(decision), dict(cursors or {})
    at = float(decision.at)
    inputs = input_hash(specification, document, at)
    return DecisionMade(
        at=at,
        inputs=changes,
        decision=result,
        input_hash=inputs,
        previous_hash=chain.hash,
        hash=_link(chain.hash, inputs, changes, result, read),
        cursors=read,
    )


def input_hash(specification: ExperimentSpec, document: Mapping[str, Any], at: float) -> str:
    """Return the hash of all that a decision may depend on. `document` is a `history_document`, or one rebuilt."""
    present = {key: value for key, value in document.items() if value is not None}
    return _digest([to_document(specification), present, at])


def _link(previous: str, inputs: str, changes: Document, result: Document, cursors: Document) -> str:
    return _digest([previous, inputs, changes, result, cursors])


def rebuild(events: Iterable[Stored]) -> Chain:
    """Return the chain after all decisions among the events."""
    chain = Chain()
    for stored in events:
        if isinstance(stored.event, DecisionMade):
            chain = chain.after(stored.event)
    return chain


# Replay --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class ReplayedDecision:
    """One stored decision, derived again."""

    position: int
    at: float
    action: str
    """As stored."""
    problems: tuple[str, ...]
    """What does not fit, in words; empty when the decision is what it claims to be."""
    chain_ok: bool
    """The hashes link to the decision before and cover what is stored."""
    inputs_ok: bool
    """The rebuilt history is the one that was decided with."""
    identical: bool
    """Deciding again gives the stored decision, bit for bit."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


def replay(events: Sequence[Stored]) -> list[ReplayedDecision]:
    """Derive every decision of a stream again and compare; problems are told, never raised.

    Args:
        events: of one experiment's stream, from its beginning, in order.
    """
    replayed: list[ReplayedDecision] = []
    specification: ExperimentSpec | str = "the stream does not begin with an ExperimentCreated"
    chain = Chain()
    for stored in events:
        event = stored.event
        if isinstance(event, ExperimentCreated):
            specification = _specification(event)
        elif isinstance(event, DecisionMade):
            replayed.append(_derive(stored.position, event, specification, chain))
            chain = chain.after(event)
    return replayed


def _specification(event: ExperimentCreated) -> ExperimentSpec | str:
    try:
        return specification_from_document(event.specification)
    except ValueError as error:
        return f"the specification cannot be read: {error}"


def _derive(position: int, event: DecisionMade, specification: ExperimentSpec | str, chain: Chain) -> ReplayedDecision:
    chain_problems = _chain_problems(event, chain)
    input_problems: list[str] = []
    different: list[str] = []
    if isinstance(specification, str):
        input_problems.append(specification)
    else:
        document = merged(chain.document, event.inputs)
        if input_hash(specification, document, event.at) != event.input_hash:
            input_problems.append("input_hash is not the hash of specification, rebuilt history and time")
        try:
            again = decide(specification, history_from(document), event.at)
        except (ValueError, TypeError) as error:
            different.append(f"cannot be decided again: {error}")
        else:
            different.extend(_differences(event.decision, to_document(again)))
    return ReplayedDecision(
        position=position,
        at=event.at,
        action=str(event.decision.get("action")),
        problems=(*chain_problems, *input_problems, *different),
        chain_ok=not chain_problems,
        inputs_ok=not input_problems,
        identical=not isinstance(specification, str) and not different,
    )


def _chain_problems(event: DecisionMade, chain: Chain) -> list[str]:
    problems: list[str] = []
    if event.previous_hash != chain.hash:
        problems.append(f"previous_hash is {event.previous_hash}; the decision before has {chain.hash}")
    if event.hash != _link(event.previous_hash, event.input_hash, event.inputs, event.decision, event.cursors):
        problems.append("hash is not the hash of what is stored")
    return problems


def _differences(stored: Document, again: Document) -> list[str]:
    names = sorted({*stored, *again})
    return [
        f"{name} is stored as {canonical(stored.get(name))[:200]}; "
        f"deciding again gives {canonical(again.get(name))[:200]}"
        for name in names
        if canonical(stored.get(name)) != canonical(again.get(name))
    ]


__all__ = [
    "NO_HASH",
    "Chain",
    "ReplayedDecision",
    "canonical",
    "history_document",
    "history_from",
    "input_hash",
    "merge_patch",
    "merged",
    "rebuild",
    "record",
    "replay",
]
