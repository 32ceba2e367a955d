"""The commands that people give: what they are called, what they do, and in which phases they are offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ml.events.types import CommandAction, Phase


@dataclass(frozen=True)
class CommandWords:
    """A command for people."""

    label: str
    effect: str
    is_final: bool = False
    """Whether it ends the experiment."""


COMMANDS: Final[dict[str, CommandWords]] = {
    "pause": CommandWords("Pause", "Weights stay as they are and no decision is taken until somebody resumes."),
    "resume": CommandWords("Resume", "Decisions go on from where they were paused."),
    "stop": CommandWords("Stop", "All traffic goes to control and the experiment ends as cancelled.", is_final=True),
    "approve": CommandWords("Approve", "The promotion that waits for a person begins.", is_final=True),
    "promote": CommandWords(
        "Promote",
        "The treatment becomes the champion, whatever the data say so far. The statistics do not back this claim.",
        is_final=True,
    ),
    "rollback": CommandWords(
        "Roll back", "All traffic goes to control at once and the experiment ends as rolled back.", is_final=True
    ),
}
_RUNNING: Final[tuple[Phase, ...]] = ("Shadow", "Ramping", "Running", "HoldNoData")


def offered(phase: Phase, *, paused: bool) -> tuple[CommandAction, ...]:
    """Return the commands that make sense in a phase; whether one is taken is decided by the controller."""
    if phase in _RUNNING:
        return ("resume" if paused else "pause", "promote", "rollback", "stop")
    if phase == "AwaitingApproval":
        return ("approve", "rollback", "stop")
    if phase == "Pending":
        return ("stop",)
    if phase == "Promoting":
        return ("rollback",)
    return ()
