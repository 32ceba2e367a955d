"""Errors as problem documents (RFC 9457): one form for everything that a client can be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from ml.contracts import problems

MEDIA_TYPE: Final = "application/problem+json"
_TYPE_PREFIX: Final = "urn:mlplatform:problem:"
_UNION_TAGS: Final = frozenset({"OutcomeBatch", "OutcomeRequest"})
_LONGEST_LIST: Final = 100
"""More errors than this are not listed; a client repairs these first."""


class FieldError(BaseModel):
    """One thing that is wrong with what was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pointer: str = Field(
        description="JSON pointer into the body, or `query/...`, `path/...`, `header/...`.",
        examples=["/spec/primary/baseline"],
    )
    detail: str = Field(description="Field, value and what is allowed.")


class Problem(BaseModel):
    """Why a request was not done (RFC 9457)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: str = Field(
        description="Names the kind of problem, for programs.", examples=["urn:mlplatform:problem:wrong-phase"]
    )
    title: str = Field(examples=["Wrong phase"])
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str = Field(default="", description="The id of the request, as in the header `x-request-id`.")
    errors: tuple[FieldError, ...] = ()


class ProblemError(HTTPException):
    """Raised anywhere below a route to answer with a problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=headers)
        title = kind.replace("-", " ").capitalize()
        self.problem = Problem(
            type=_TYPE_PREFIX + kind, title=title, status=status, detail=detail, errors=tuple(errors)[:_LONGEST_LIST]
        )


def not_found(what: str, name: str) -> ProblemError:
    """Return the error for a thing that does not exist."""
    return ProblemError(404, "not-found", f"there is no {what} {problems.show(name)}")


def unavailable(what: str) -> ProblemError:
    """Return the error for another part of the platform that does not answer."""
    return ProblemError(
        503, "unavailable", f"{what}; nothing is known to have been done, try again", headers={"Retry-After": "2"}
    )


def invalid(detail: str, errors: Iterable[FieldError]) -> ProblemError:
    """Return the error for a request that is understood and wrong."""
    return ProblemError(422, "invalid", detail, errors=errors)


def field_errors(found: Iterable[problems.Problem]) -> tuple[FieldError, ...]:
    """Return what the platform's own validation found."""
    return tuple(FieldError(pointer=problem.pointer, detail=str(problem)) for problem in found)


def response_of(problem: Problem, request: Request, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a problem as the answer to a request."""
    named = problem.model_copy(update={"instance": str(getattr(request.state, "request_id", ""))})
    return JSONResponse(
        named.model_dump(mode="json"), status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Turn errors of routing and of this program into problem documents."""
    if isinstance(error, ProblemError):
        return response_of(error.problem, request, error.headers)
    if not isinstance(error, HTTPException):
        raise error
    return response_of(plain_problem(error.status_code, str(error.detail)), request, error.headers)


async def answer_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Turn what FastAPI finds wrong with parameters and bodies into a problem document."""
    if not isinstance(error, RequestValidationError):
        raise error
    return response_of(validation_problem(error.errors()).problem, request)


async def answer_unexpected_error(request: Request, _: Exception) -> JSONResponse:
    """Answer an error of this program: the client learns the request's id, the log holds the rest."""
    return response_of(
        plain_problem(500, "this is a fault of the platform; its log has more under the request's id"), request
    )


def validation_problem(found: Sequence[Mapping[str, Any]]) -> ProblemError:
    """Return one problem for all that pydantic found wrong with a request."""
    errors = [_field_error(item) for item in found]
    return invalid("; ".join(error.detail for error in errors[:3]) or "the request is invalid", errors)


def plain_problem(status: int, detail: str) -> Problem:
    """Return a problem that has nothing but a status to tell."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    return Problem(type="about:blank", title=phrase, status=status, detail=detail or phrase)


def _field_error(item: Mapping[str, Any]) -> FieldError:
    place, *path = (str(part) for part in item.get("loc", ())) if item.get("loc") else ("body",)
    if path[:1] and path[0] in _UNION_TAGS:
        path = path[1:]  # says which shape was meant, and is no part of the document
    inside = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    pointer = inside if place == "body" else place + inside
    value = problems.show(item.get("input"))
    return FieldError(pointer=pointer, detail=f"{pointer or 'the body'}={value}: {item.get('msg', 'is not allowed')}")
