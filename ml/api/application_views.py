"""What applications tell the API and ask it: outcomes of users or requests, and where a user's requests go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import ConfigDict, Discriminator, Field, Tag

from ml.api.shapes import Body, Shape, Text
from ml.contracts.abtest import MetricName, ModelName, Slot
from ml.events.counting import LARGEST_VALUE, Status

MAX_OUTCOMES: Final = 1000
"""Per request."""


class OutcomeRequest(Body):
    """What an application saw of one user or request; without a metric: only that it was served."""

    id: Text = Field(description="Of this report; the same id twice counts once.")
    model: ModelName
    metric: MetricName | None = None
    value: float | None = Field(
        default=None, ge=-LARGEST_VALUE, le=LARGEST_VALUE, description="Needed with a metric; 1 and 0 for yes and no."
    )
    user_id: Text | None = None
    request_id: Text | None = None
    slot: Slot | None = Field(default=None, description="From the answer's header `x-served-by-slot`.")
    at: float | None = Field(default=None, ge=0, le=1e11, description="When it happened; left out: now.")


class OutcomeBatch(Body):
    """Several outcomes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "outcomes": [
                        {
                            "id": "order-1",
                            "model": "research_pattern_predictor",
                            "metric": "conversion",
                            "value": 1,
                            "userId": "u-17",
                            "slot": "candidate-a",
                        }
                    ]
                }
            ]
        }
    )
    outcomes: list[OutcomeRequest] = Field(min_length=1, max_length=MAX_OUTCOMES)


def _kind_of_report(body: object) -> str:
    return "OutcomeBatch" if isinstance(body, Mapping) and "outcomes" in body else "OutcomeRequest"


OutcomeReport = Annotated[
    Annotated[OutcomeBatch, Tag("OutcomeBatch")] | Annotated[OutcomeRequest, Tag("OutcomeRequest")],
    Discriminator(_kind_of_report),
]
"""One or several; which, is seen by the field `outcomes`, so that errors are about what was meant."""


class OutcomeResult(Shape):
    """What became of one outcome."""

    id: str
    status: Status = Field(
        description="`stored`: kept, but no experiment counts it; `refused`: not kept, see the message."
    )
    message: str
    experiment: str | None


class OutcomeResults(Shape):
    """What became of each outcome, in the order given."""

    results: tuple[OutcomeResult, ...]


class AssignmentView(Shape):
    """Where a user's requests go now."""

    model: str
    user_id: str
    slot: str | None = Field(description="null where requests are split at random, or weights are changing just now.")
    experiment: str | None = Field(description="Name of the experiment that shares out the users; null if none does.")
    counted: bool = Field(description="Whether the user is part of the comparison.")
    weights: dict[str, int]
