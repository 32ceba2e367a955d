"""What people ask of a running experiment: read from the object's annotation, and judged against its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast, get_args

from ml.contracts import LABEL_DOMAIN, slot_alias
from ml.contracts.storable import why_not_storable
from ml.controller.observation import Observation
from ml.controller.state import ACTIVE_PHASES, SPEC_COMMAND, ExperimentState
from ml.events.types import CommandAction, CommandIssued

COMMAND_ANNOTATION: Final = f"{LABEL_DOMAIN}/command"
"""JSON `{"id", "action", "arm", "by", "why"}`; `arm` may be left out. The same id is carried out once."""
CHAMPION_MOVED_STEP: Final = "champion_moved"
_LONGEST_TEXT: Final = 1000


class InvalidCommandError(ValueError):
    """The annotation is no command; the message names field, value and what is allowed."""


@dataclass(frozen=True)
class Verdict:
    """Whether a command is carried out, and why not or what will happen."""

    accepted: bool
    message: str


def read_command(annotations: Mapping[str, str], at: float) -> CommandIssued | None:
    """Return the command of an object's annotations; None if it has none.

    Raises:
        InvalidCommandError: it cannot be read.
    """
    text = annotations.get(COMMAND_ANNOTATION)
    if not text:
        return None
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise InvalidCommandError(f"{COMMAND_ANNOTATION}: {error}; allowed is JSON") from error
    if not isinstance(parsed, dict):
        raise InvalidCommandError(f"{COMMAND_ANNOTATION}={text[:80]!r}: allowed is an object")
    fields = cast("dict[str, Any]", parsed)
    unknown = sorted(set(fields) - {"id", "action", "arm", "by", "why"})
    if unknown:
        raise InvalidCommandError(f"{COMMAND_ANNOTATION}.{unknown[0]}: allowed are id, action, arm, by and why")
    texts = {name: _text(name, fields.get(name)) for name in ("id", "action", "by", "why")}
    if texts["action"] not in get_args(CommandAction):
        allowed = ", ".join(get_args(CommandAction))
        raise InvalidCommandError(f"{COMMAND_ANNOTATION}.action={texts['action']!r}: allowed is one of {allowed}")
    if texts["id"].startswith(SPEC_COMMAND):
        raise InvalidCommandError(
            f"{COMMAND_ANNOTATION}.id={texts['id']!r}: allowed is an id that does not begin with {SPEC_COMMAND!r}"
        )
    arm = fields.get("arm")
    return CommandIssued(
        at=at,
        command=texts["id"],
        action=cast("CommandAction", texts["action"]),
        arm=None if arm is None else _text("arm", arm),
        by=texts["by"],
        why=texts["why"],
        source="kubectl",
    )


def new_command(state: ExperimentState, command: CommandIssued | None) -> CommandIssued | None:
    """Return an annotation's command if it has not been recorded yet.

    Raises:
        InvalidCommandError: its id was used for another one; whoever wrote it would wait for ever.
    """
    before = None if command is None else state.known_commands.get(command.command)
    if command is None or before is None:
        return command
    if before.asked != command.asked:
        at = datetime.fromtimestamp(before.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise InvalidCommandError(
            f"{COMMAND_ANNOTATION}.id={command.command!r}: allowed is a new id; this one was used for another command "
            f"({before.action} by {before.by} at {at}), so nothing was done"
        )
    return None


def judge(state: ExperimentState, command: CommandIssued, observation: Observation) -> Verdict | None:
    """Decide whether a command makes sense now; None if that cannot be known yet, so that it has to wait."""
    if state.is_final:
        return Verdict(False, f"the experiment has ended: {state.phase}")
    if command.arm is not None and command.arm not in state.specification.treatments:
        allowed = ", ".join(state.specification.treatments)
        return Verdict(False, f"arm={command.arm!r}: allowed is one of {allowed}")
    if command.action in ("stop", "rollback"):
        return _judge_end(state, command, observation)
    if state.sequence is not None:
        return Verdict(False, f"phase {state.phase}: the experiment is ending already")
    if command.action in ("pause", "resume"):
        return _judge_pause(state, command)
    return _judge_promotion(state, command, observation)


def chosen_arm(state: ExperimentState, command: CommandIssued) -> str | None:
    """Return the treatment that a promotion is about: the named one, the one found better, or the only one."""
    only = state.active[0] if len(state.active) == 1 else None
    return command.arm or state.better_arm or only


def _judge_end(state: ExperimentState, command: CommandIssued, observation: Observation) -> Verdict | None:
    sequence = state.sequence
    if sequence is None:
        if command.action == "rollback" and command.arm is not None and command.arm not in state.active:
            return Verdict(False, f"{command.arm} has been rolled back already")
        return Verdict(True, "all traffic goes back to control" if command.arm is None else f"{command.arm} is dropped")
    if sequence.kind == "rollback":
        return Verdict(False, f"phase {state.phase}: the experiment is ending already")
    moved = champion_has_moved(state, observation)
    if moved is None:
        return None
    if moved:
        return Verdict(False, "the champion has moved to the winner's version; promote another version instead")
    return Verdict(True, "the promotion is given up")


def champion_has_moved(state: ExperimentState, observation: Observation) -> bool | None:
    """Tell whether the running promotion has moved the champion; None if that is not known."""
    sequence = state.sequence
    if sequence is None or sequence.kind != "promote":
        return False
    if CHAMPION_MOVED_STEP in sequence.done:
        return True
    alias = slot_alias(state.specification.control)
    if alias not in observation.aliases:
        return None
    return observation.aliases[alias] == sequence.details.get("version")


def _judge_pause(state: ExperimentState, command: CommandIssued) -> Verdict:
    if command.action == "pause":
        if state.paused_by:
            return Verdict(False, "the experiment is paused already")
        return Verdict(True, "weights stay as they are and no decision is taken")
    if not state.paused_by:
        return Verdict(False, "the experiment is not paused")
    if state.paused_by == "spec" and not command.command.startswith(SPEC_COMMAND):
        return Verdict(False, "spec.paused=true: allowed is to resume by setting it to false")
    return Verdict(True, "decisions are taken again")


def _judge_promotion(state: ExperimentState, command: CommandIssued, observation: Observation) -> Verdict | None:
    if command.action == "approve" and state.phase != "AwaitingApproval":
        return Verdict(False, f"phase {state.phase}: allowed is to approve in phase AwaitingApproval")
    arm = chosen_arm(state, command)
    if arm is None:
        return Verdict(False, f"arm is missing: allowed is one of {', '.join(state.active)}")
    if command.action == "approve" and arm != state.better_arm:
        return Verdict(False, f"arm={arm!r}: allowed is {state.better_arm!r}, which waits for approval")
    if arm not in state.active:
        return Verdict(False, f"{arm} has been rolled back; allowed is one of {', '.join(state.active) or 'none'}")
    if observation.ready(arm) is None:
        return None
    if observation.version(arm) is None:
        return Verdict(False, f"slot {arm} is not ready with one version, so it cannot be promoted")
    if state.phase not in ACTIVE_PHASES and state.phase not in ("Pending", "Shadow"):
        return Verdict(False, f"phase {state.phase}: a promotion is not possible")
    return Verdict(True, f"{arm} is promoted")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST_TEXT:
        raise InvalidCommandError(
            f"{COMMAND_ANNOTATION}.{name}={value!r}: allowed is a text of 1 to {_LONGEST_TEXT} characters"
        )
    found = why_not_storable(value)
    if found is not None:
        raise InvalidCommandError(f"{COMMAND_ANNOTATION}.{name}={value!r}: allowed is a text without {found}")
    return value
