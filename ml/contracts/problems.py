"""What is wrong with something that a person wrote: field, value and what is allowed, in one form everywhere.

Admission, the API and `mlp` all show these, so that the same mistake reads the same wherever it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
_LONGEST_VALUE: Final = 100
_MISSING: Final = "missing"
_UNKNOWN: Final = "extra_forbidden"
_TAG_ERRORS: Final = ("union_tag_not_found", "union_tag_invalid")


class _Absent:
    """Marks a value that is not there."""


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: names of fields and positions in lists.
        value: as written; `ABSENT` if it is not there.
        allowed: in words, to be read after "allowed is".
        note: why, where field and value do not say it.
    """

    path: Path
    value: object
    allowed: str
    note: str = ""

    @property
    def field(self) -> str:
        """The path as people write it: `spec.arms[0].slot`."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".")

    @property
    def pointer(self) -> str:
        """The path as a JSON pointer (RFC 6901)."""
        return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in self.path)

    @property
    def detail(self) -> str:
        """Everything but the path."""
        given = "is missing" if self.value is ABSENT else f"is {show(self.value)}"
        return f"{given}; allowed is {self.allowed}" + (f" ({self.note})" if self.note else "")

    def below(self, *parents: str | int) -> Problem:
        """Return the same problem, seen from further outside."""
        return Problem((*parents, *self.path), self.value, self.allowed, self.note)

    def __str__(self) -> str:
        head = f"{self.field} is missing" if self.value is ABSENT else f"{self.field}={show(self.value)}"
        return f"{head}: allowed is {self.allowed}" + (f" ({self.note})" if self.note else "")


class ProblemsError(ValueError):
    """Something is wrong; all of it at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def problems_of(error: ValidationError, model: type[BaseModel], *parents: str | int) -> tuple[Problem, ...]:
    """Return what a validation found.

    Args:
        error: raised when `model` was validated.
        model: whose schema says what is allowed.
        parents: path to the validated document inside a larger one, such as "spec".
    """
    found: list[Problem] = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, ProblemsError):
            found += [problem.below(*parents, *_without_tags(model, item["loc"])) for problem in cause.problems]
        else:
            found.append(_problem(model, item["type"], item["loc"], item["input"]).below(*parents))
    return tuple(found)


def show(value: object) -> str:
    """Return a value as it is shown in a message: short, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:.12g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def describe(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(describe(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema or "const" in schema:
        words = cast("Sequence[object]", schema.get("enum", [schema.get("const")]))
        return ("one of " if len(words) > 1 else "") + ", ".join(map(str, words))
    kind = schema.get("type")
    if kind == "string":
        parts = ["a text"]
        if "maxLength" in schema:
            parts.append(f"of at most {schema['maxLength']} characters")
        if "pattern" in schema:
            parts.append(f"that matches {schema['pattern']}")
        return " ".join(parts)
    if kind in ("number", "integer"):
        return " ".join(["a whole number" if kind == "integer" else "a finite number", *_limits(schema)])
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        return "a list" if most is None else f"a list of {least} to {most} entries"
    return "true or false" if kind == "boolean" else "an object"


def _limits(schema: Mapping[str, Any]) -> list[str]:
    signs = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
    limits = [f"{sign} {show(schema[key])}" for key, sign in signs if key in schema]
    return [" and ".join(limits)] if limits else []


def _problem(model: type[BaseModel], kind: str, location: Path, value: object) -> Problem:
    path = _without_tags(model, location)
    if kind in _TAG_ERRORS:
        # The location is that of the whole object; what is wrong is its tag.
        union = _walk(model, location)[-1]
        tag = union.get("discriminator", {}).get("propertyName", "kind")
        given = cast("Mapping[str, object]", value).get(tag, ABSENT) if isinstance(value, Mapping) else ABSENT
        return Problem((*path, tag), given, "one of " + ", ".join(union.get("discriminator", {}).get("mapping", {})))
    if kind == _UNKNOWN:
        known = ", ".join(sorted(_walk(model, location[:-1])[-1].get("properties", {})))
        return Problem(path, value, f"one of the fields {known}", "unknown field")
    if kind == _MISSING:
        return Problem(path, ABSENT, describe(_walk(model, location)[-1]))
    return Problem(path, value, describe(_walk(model, location)[-1]))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _walk(model: type[BaseModel], location: Path) -> list[dict[str, Any]]:
    """Return the schemas along a path, the model's own first."""
    root = _schema(model)
    trail = [root]
    for part in location:
        here = trail[-1]
        if isinstance(part, int):
            inner = here.get("items", {})
        elif "discriminator" in here:
            inner = {"$ref": here["discriminator"]["mapping"].get(part, "")}
        else:
            inner = here.get("properties", {}).get(part, {})
        reference = str(inner.get("$ref", "")).rpartition("/")[2]
        trail.append(root.get("$defs", {}).get(reference, inner) if reference else inner)
    return trail


def _without_tags(model: type[BaseModel], location: Path) -> Path:
    """Return a location without the tags of unions, which are no part of the document."""
    trail = _walk(model, location)
    return tuple(part for part, schema in zip(location, trail, strict=False) if "discriminator" not in schema)
