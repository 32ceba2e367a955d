"""What people ask of running experiments: recorded in the experiment's stream, carried out by the controller."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ml.api.auth import Principal
from ml.api.ports import Ports
from ml.api.problems import FieldError, ProblemError, invalid, not_found
from ml.api.views import CommandReceipt
from ml.contracts.storable import why_not_storable
from ml.events.ports import Stored, VersionConflictError
from ml.events.records import ExperimentRecord
from ml.events.types import FINAL_PHASES, CommandAction, CommandIssued, Phase, PhaseEntered, experiment_stream

_Asked = tuple[str, str | None, str]
"""Action, arm and reason of a command."""
_Found = tuple[_Asked, int]
"""A command and its position in the stream."""
_ATTEMPTS: Final = 8
_COMMAND_NAMESPACE: Final = uuid.UUID("6a1c35a0-54a0-4a67-8f6c-0f6f4e1c7e11")
_BEFORE_THE_END: Final[tuple[Phase, ...]] = (
    "Pending",
    "Shadow",
    "Ramping",
    "Running",
    "HoldNoData",
    "AwaitingApproval",
)
ALLOWED_PHASES: Final[dict[CommandAction, tuple[Phase, ...]]] = {
    "pause": _BEFORE_THE_END,
    "resume": _BEFORE_THE_END,
    "approve": ("AwaitingApproval",),
    "promote": _BEFORE_THE_END,
    "rollback": (*_BEFORE_THE_END, "Promoting"),
    "stop": (*_BEFORE_THE_END, "Promoting"),
}
"""Where a command can make sense; the controller, which knows more, may still refuse it."""


@dataclass(frozen=True, kw_only=True)
class _Target:
    """The experiment that a command is for, as it was last seen."""

    id: str
    name: str
    phase: Phase
    position: int
    treatments: tuple[str, ...]

    @classmethod
    def of(cls, record: ExperimentRecord) -> _Target:
        """Return what a command needs of a record."""
        arms = [str(arm.get("slot")) for arm in record.spec.get("arms", [])]
        return cls(
            id=record.id,
            name=record.name,
            phase=record.phase,
            position=record.position,
            treatments=tuple(arms[1:]),
        )


def etag_of(record: ExperimentRecord) -> str:
    """Return the entity tag of an experiment: it changes with every event."""
    return f'"{record.id}.{record.position}"'


async def issue(
    ports: Ports,
    principal: Principal,
    namespace: str,
    name: str,
    action: CommandAction,
    *,
    why: str,
    arm: str | None = None,
    if_match: str | None = None,
    command_id: str | None = None,
) -> CommandReceipt:
    """Record a command, if the experiment's phase allows it.

    Args:
        ports: the parts behind the API.
        principal: who asks.
        namespace: of the experiment.
        name: of the experiment, or its id.
        action: what to do.
        why: the reason, for the record.
        arm: the treatment that it is about.
        if_match: entity tag that the experiment must have; None or `*` for any.
        command_id: names the request; the same again gives the same command, which is carried out once.

    Raises:
        ProblemError: 404, 409, 412 or 422. Nothing was recorded.
        StoreUnavailableError: no answer.
    """
    record = await ports.queries.experiment(name, namespace)
    if record is not None and record.namespace != namespace:
        raise not_found("experiment", name)
    target = await _not_admitted(ports, name) if record is None else _Target.of(record)
    _check_arm(target, arm)
    _check_texts(by=principal.subject, why=why)
    stream = experiment_stream(target.id)
    command = str(uuid.uuid5(_COMMAND_NAMESPACE, command_id)) if command_id else str(uuid.uuid4())
    event = CommandIssued(
        at=ports.clock(), command=command, action=action, arm=arm, by=principal.subject, why=why.strip(), source="api"
    )
    if command_id and record is not None and (issued := await _projected(ports, target.id, command)):
        return _again(target, event, *issued)
    phase, position, matched = target.phase, target.position, False
    for _ in range(_ATTEMPTS):
        # The projection may lag behind the stream, which alone counts.
        newer = await ports.events.read(stream, after=position)
        if command_id and (issued := _issued(newer, command)):
            return _again(target, event, *issued)
        phase, position = _newest_phase(newer, phase), position + len(newer)
        if not matched:
            _check_match(if_match, f'"{target.id}.{position}"')
        _check_phase(target.name, action, phase)
        try:
            new_position = await ports.events.append(stream, position, [event])
        except VersionConflictError:
            matched = True  # it did match; an event of the controller in between is no reason to refuse a person
            continue
        return CommandReceipt(command=command, experiment=target.id, action=action, position=new_position)
    raise ProblemError(409, "busy", "the experiment changes too fast; try again", headers={"Retry-After": "1"})


async def _not_admitted(ports: Ports, name: str) -> _Target:
    """Return an experiment whose object is there, but which the controller has not seen or the projection not shown."""
    made = await ports.tests.get(name)
    if made is None:
        raise not_found("experiment", name)
    arms = [str(arm.get("slot")) for arm in made.get("spec", {}).get("arms", [])]
    return _Target(id=str(made["metadata"]["uid"]), name=name, phase="Pending", position=0, treatments=tuple(arms[1:]))


def _check_arm(target: _Target, arm: str | None) -> None:
    if arm is not None and arm not in target.treatments:
        detail = f"arm={arm!r}: allowed is one of {', '.join(target.treatments)}"
        raise invalid(detail, [FieldError(pointer="/arm", detail=detail)])


def _check_texts(**texts: str) -> None:
    """Refuse texts that nobody could read again: this is the door of the log, whichever way a request came."""
    errors = [
        FieldError(pointer=f"/{name}", detail=f"{name}: allowed is a text without {found}")
        for name, text in texts.items()
        if (found := why_not_storable(text))
    ]
    if errors:
        raise invalid("; ".join(error.detail for error in errors), errors)


def _check_phase(name: str, action: CommandAction, phase: Phase) -> None:
    if phase in ALLOWED_PHASES[action]:
        return
    allowed = ", ".join(ALLOWED_PHASES[action])
    ended = " and has ended" if phase in FINAL_PHASES else ""
    raise ProblemError(
        409, "wrong-phase", f"experiment {name} is in phase {phase}{ended}; {action} is allowed in {allowed}"
    )


def _check_match(if_match: str | None, etag: str) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    given = {part.strip() for part in if_match.split(",")}
    if etag not in given:
        raise ProblemError(
            412,
            "changed",
            f"If-Match={if_match[:200]}: the experiment is now {etag}; read it again",
            headers={"ETag": etag},
        )


def _newest_phase(events: Sequence[Stored], phase: Phase) -> Phase:
    for stored in events:
        if isinstance(stored.event, PhaseEntered):
            phase = stored.event.phase
    return phase


async def _projected(ports: Ports, experiment: str, command: str) -> _Found | None:
    """Return a command whose answer was lost, so that it is not refused for what it brought about."""
    known = await ports.queries.audit(experiment)
    return next((((item.action, item.arm, item.why), item.position) for item in known if item.command == command), None)


def _issued(events: Sequence[Stored], command: str) -> _Found | None:
    for stored in events:
        event = stored.event
        if isinstance(event, CommandIssued) and event.command == command:
            return event.asked, stored.position
    return None


def _again(target: _Target, event: CommandIssued, asked: _Asked, position: int) -> CommandReceipt:
    """Return the receipt of a command that was recorded before under the same id.

    Raises:
        ProblemError: 422, it was another one: whoever asks now would believe that it is carried out.
    """
    if asked != event.asked:
        detail = f"Idempotency-Key: allowed is a new one; this one was used for {asked[0]} with the reason {asked[2]!r}"
        raise invalid(detail, [FieldError(pointer="header/Idempotency-Key", detail=detail)])
    return CommandReceipt(command=event.command, experiment=target.id, action=event.action, position=position)
