"""The OpenAPI document: what FastAPI derives, and what it cannot know: problems, tokens, admission's schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from ml.api.auth import Scope
from ml.api.problems import MEDIA_TYPE, FieldError, Problem
from ml.contracts import EXPERIMENTS_PATH
from ml.contracts.abtest import AbTestSpec

BASE_PATH: Final = EXPERIMENTS_PATH
_PROBLEM_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
_MEANINGS: Final = {
    400: "The body is no acceptable JSON, or the address holds the character U+0000.",
    401: "No token, or one that is unknown, expired or not for this API.",
    403: "The token lacks the scope.",
    404: "There is no such thing.",
    405: "Another method is allowed, see the header `Allow`.",
    409: "It contradicts what is there: the phase, a name, a request in progress.",
    412: "The experiment has changed since: `If-Match` names another version.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not `application/json`.",
    422: "A field or parameter is wrong; `errors` says which, its value and what is allowed.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    500: "A fault of the platform.",
    503: "Another part of the platform does not answer; try again.",
}
_DESCRIPTION: Final = """
Experiments on live traffic: create, watch and steer them, report outcomes, look up who sees what.

Times are seconds since 1970, weights are out of 1000. Every error is a problem document (RFC 9457). Bodies are JSON of
at most 1 MiB and 16 levels; unknown fields and parameters, duplicate keys and NaN are refused. `POST` takes an
`Idempotency-Key`: the same key with the same request gives the first answer again for 24 hours, with another one 422;
a refusal is not kept. A token has the scopes `read`, `write` (create, outcomes) and `decide` (commands).
"""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's errors."""
    always = (400, 401, 403, 422, 429, 500, 503)
    content = {MEDIA_TYPE: {"schema": _PROBLEM_REFERENCE}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in sorted({*always, *statuses})}


def write_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the errors of a route that takes a body."""
    return refusals(409, 413, 415, *statuses)


def needs(scope: Scope) -> dict[str, Any]:
    """Return the documentation of a route's token."""
    return {"security": [{"bearer": [scope]}]}


def describe(app: FastAPI, public_host: str) -> Callable[[], dict[str, Any]]:
    """Return the function that makes the document, once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, public_host)
        return app.openapi_schema

    return document


def _document(app: FastAPI, public_host: str) -> dict[str, Any]:
    found = get_openapi(
        title="ML platform: experiments",
        version="1.0.0",
        description=_DESCRIPTION,
        routes=app.routes,
        servers=[{"url": f"http://{public_host}"}] if public_host else None,
    )
    _, extra = models_json_schema(
        [(Problem, "serialization"), (FieldError, "serialization"), (AbTestSpec, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name, schema in extra["$defs"].items():
        schemas.setdefault(name, schema)
    schemas["CreateRequest"]["properties"]["spec"] = {"$ref": "#/components/schemas/AbTestSpec"}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A local token, or one of the configured OpenID Connect issuer.",
        }
    }
    return found
