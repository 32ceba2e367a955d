"""What all that the API takes and gives is made of: closed shapes in camel case, and texts of a bounded length.

Times are in seconds since 1970, weights out of 1000.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Why = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S", description="The reason, for the record.")]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")]


class Shape(BaseModel):
    """A closed part of what is sent or answered."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class Body(Shape):
    """A body that somebody sends: a text is no number, and a truth value neither."""

    model_config = ConfigDict(strict=True)
