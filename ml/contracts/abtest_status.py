"""What the controller says about an experiment: the status of the `ABTest` custom resource.

All of it is derived from the experiment's events and may be lost without loss; nobody but the controller writes it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Phase = Literal[
    "Pending",
    "Shadow",
    "Ramping",
    "Running",
    "HoldNoData",
    "AwaitingApproval",
    "Promoting",
    "RollingBack",
    "Promoted",
    "RolledBack",
    "Inconclusive",
    "Invalid",
    "Cancelled",
]
LONGEST_MESSAGE: Final = 8192
Message = Annotated[str, Field(max_length=LONGEST_MESSAGE)]
Slot = Annotated[str, Field(max_length=16)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=40)]
"""RFC 3339, UTC."""


class StatusSection(BaseModel):
    """A closed part of a status."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Condition(StatusSection):
    """One thing that is so, is not so, or is not known."""

    type: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=64)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=128)
    message: Message = ""
    last_transition_time: Moment
    observed_generation: int | None = Field(default=None, ge=0)


class LastDecision(StatusSection):
    """What was decided last, and by which record."""

    action: str = Field(max_length=32)
    message: Message = ""
    at: Moment
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the decision's event; each names the one before.")


class AbTestStatus(StatusSection):
    """What has become of an experiment."""

    phase: Phase | None = None
    message: Message | None = Field(default=None, description="The phase in words.")
    observed_generation: int | None = Field(default=None, ge=0)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=16)
    problems: tuple[Message, ...] = Field(
        default=(), max_length=100, description="Why it was not admitted: field, value and what is allowed."
    )
    behind: tuple[Annotated[str, Field(max_length=253)], ...] = Field(
        default=(), max_length=100, description="Experiments of the same model that come first."
    )
    epoch: int | None = Field(default=None, ge=0, description="Counts the changes of weights since the start.")
    weights: dict[Slot, int] = Field(default={}, max_length=8, description="In force at the gateway, of 1000.")
    candidate_share: str | None = Field(default=None, max_length=16, description="Of all treatments together.")
    samples: dict[Slot, int] = Field(default={}, max_length=8, description="Units counted so far.")
    required_sample: int | None = Field(default=None, ge=0, description="Units per arm at which it ends.")
    looks: int | None = Field(default=None, ge=0, description="How often significance was tested.")
    progress: str | None = Field(default=None, max_length=64, description="Smallest sample over the required one.")
    last_decision: LastDecision | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    winner: Slot | None = None
