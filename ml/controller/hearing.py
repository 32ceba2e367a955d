"""What follows from what people ask: every command is recorded once, then carried out or refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence

from ml.controller.commands import chosen_arm, judge
from ml.controller.draft import Draft
from ml.controller.state import SPEC_COMMAND
from ml.events.types import CommandAction, CommandHandled, CommandIssued


def hear(draft: Draft) -> None:
    """Record new commands, and handle every one that waits for an answer and can be answered now."""
    for command in (*draft.seen.commands, *_implied(draft)):
        if command.command not in draft.state.known_commands:
            draft.add(command.model_copy(update={"at": draft.now}))
    for command in draft.state.pending:
        if draft.state.promise is None and not draft.state.is_final:
            _handle_early(draft, command)
        else:
            _handle(draft, command)


def _implied(draft: Draft) -> Sequence[CommandIssued]:
    """Return what follows from the object itself: it was deleted, or `spec.paused` was changed."""
    test, state = draft.seen.test, draft.state
    if state.is_final or state.promise is None:
        return ()
    if test is None or test.deleted:
        return (_command(draft, "deleted", "stop", "the ABTest was deleted"),)
    paused = bool(test.spec.get("paused", False))
    if paused and not state.paused_by:
        return (_command(draft, f"{SPEC_COMMAND}pause-{test.generation}", "pause", "spec.paused is true"),)
    if not paused and state.paused_by == "spec":
        return (_command(draft, f"{SPEC_COMMAND}resume-{test.generation}", "resume", "spec.paused is false"),)
    return ()


def _command(draft: Draft, name: str, action: CommandAction, why: str) -> CommandIssued:
    return CommandIssued(at=draft.now, command=name, action=action, by="kubectl", why=why, source="controller")


def _handle_early(draft: Draft, command: CommandIssued) -> None:
    """Before admission there is nothing to decide about, except not to begin at all."""
    stops = command.action == "stop"
    message = "it will not begin" if stops else "the experiment has not been admitted yet: allowed is to stop it"
    draft.add(CommandHandled(at=draft.now, command=command.command, accepted=stops, message=message))
    if stops:
        draft.enter("Cancelled", "stopped", command.why)


def _handle(draft: Draft, command: CommandIssued) -> None:
    state = draft.state
    verdict = judge(state, command, draft.seen)
    if verdict is None:
        return
    arms_left = [arm for arm in state.active if arm != command.arm] if state.promise else []
    arm = chosen_arm(state, command) if state.promise else None
    draft.add(CommandHandled(at=draft.now, command=command.command, accepted=verdict.accepted, message=verdict.message))
    if not verdict.accepted:
        return
    who = {"by": command.by, "why": command.why}
    if command.action == "stop":
        draft.give_back("Cancelled", "stopped", command.why, who)
    elif command.action == "rollback" and (command.arm is None or not arms_left or draft.state.sequence):
        draft.give_back("RolledBack", "rolled_back_by_hand", command.why, who)
    elif command.action in ("promote", "approve") and arm is not None:
        draft.promote(arm, "approved" if command.action == "approve" else "promoted_by_hand", command.why, who)
