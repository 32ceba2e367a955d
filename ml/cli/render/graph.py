"""Everything that a stack would declare, components included, as its program says it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from ml.cli.policy import rendering

_STACK_TYPE: Final = "pulumi:pulumi:Stack"
_PROVIDERS: Final = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource or component."""

    key: str
    """Its URN without the stack's name: the same in every stack."""
    type: str
    name: str
    parent: str
    """Key of its parent; empty below the stack itself."""
    inputs: Mapping[str, Any]
    custom: bool = True
    protect: bool = False

    @property
    def is_component(self) -> bool:
        """Whether it only groups others."""
        return not self.custom

    @property
    def is_object(self) -> bool:
        """Whether it is a Kubernetes object."""
        return self.type.startswith("kubernetes:") and "kind" in self.inputs

    @property
    def kind(self) -> str:
        """Last part of the type."""
        return self.type.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A stack's resources by key, in the order in which they were declared."""

    title: str
    resources: Mapping[str, Declared]

    def of(self, *types: str) -> Iterator[Declared]:
        """Yield the resources of some types."""
        yield from (item for item in self.resources.values() if item.type in types)

    def made(self) -> Iterator[Declared]:
        """Yield what is made somewhere: everything but components and connections."""
        yield from (item for item in self.resources.values() if item.custom and not item.type.startswith(_PROVIDERS))


def read(stack: str, project: Path = rendering.PROJECT, *, title: str | None = None) -> Rendered:
    """Run the program of a stack and return what it declares.

    Raises:
        UserError: there is no such stack, or its program fails.
    """
    return parse(rendering.lines(stack, project), title or stack)


def parse(text: str, title: str) -> Rendered:
    """Read the lines that `policies.render` writes."""
    items = [_declared(cast("dict[str, Any]", json.loads(line))) for line in text.splitlines() if line.strip()]
    return Rendered(title=title, resources={item.key: item for item in items})


def _declared(line: Mapping[str, Any]) -> Declared:
    return Declared(
        key=_key(line["urn"]),
        type=line["type"],
        name=line["name"],
        # Programs from before there were components in the lines say neither of these.
        parent=_key(line.get("parent", "")),
        inputs=line["inputs"],
        custom=line.get("custom", True),
        protect=line["protect"],
    )


def _key(urn: str) -> str:
    kind, _, name = urn.partition("::")[2].partition("::")[2].rpartition("::")
    return "" if not kind or kind == _STACK_TYPE else f"{kind}::{name}"
