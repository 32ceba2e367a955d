"""Manifests as people write them, with the rules that each breaks; the same for every place that judges.

The YAML files hold them by topic. A case is a Kubernetes object (`manifest`) or a cloud resource of a Pulumi program
(`type`, `name`, `inputs`), and what is expected of it, decided by hand: the rules that it `breaks`, those that cannot
be judged before the update (`unknown`), and those from which it is `exempt`. Rules over several resources are asked
only in `stacks`, where several cases are judged together. `!unknown` stands for a value that is not known yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, cast

import yaml

from policies import configuration, sources
from policies._model import Resource

STACK: Final = "corpus"
TODAY: Final = date(2026, 12, 1)
"""The day on which exemptions of the corpus are judged."""
_FOLDER: Final = Path(__file__).resolve().parent
_UNKNOWN_MARK: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class _Loader(yaml.SafeLoader):
    """Reads `!unknown` as the engine's mark of what is not known."""


_Loader.add_constructor("!unknown", lambda _loader, _node: _UNKNOWN_MARK)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One resource and what is expected of it."""

    topic: str
    """Name of its file."""
    stack: str
    """The stack that it is judged with; empty if it is judged alone."""
    described: Mapping[str, Any]
    """The manifest, or `type`, `name` and `inputs` of a cloud resource."""
    protected: bool | None
    breaks: frozenset[str]
    unknown: frozenset[str]
    exempt: frozenset[str]
    filled_in: frozenset[str]
    """Of the rules that it breaks, those that an API server keeps for it by a default, or by translating old fields."""

    @property
    def is_cluster_object(self) -> bool:
        """Whether a cluster could hold it."""
        return "kind" in self.described

    @cached_property
    def is_complete(self) -> bool:
        """Whether every value is known, as an API server needs it."""
        return _UNKNOWN_MARK not in json.dumps(self.described)

    @cached_property
    def name(self) -> str:
        """Topic and resource; no two cases have the same."""
        resource = self.resource
        place = f"{resource.namespace}/" if resource.namespace else ""
        return f"{self.topic}: {resource.kind} {place}{resource.name}"

    @cached_property
    def resource(self) -> Resource:
        """The resource as rules see it."""
        urn = f"urn:pulumi:{STACK}::{self.stack or self.topic}"
        if self.is_cluster_object:
            return sources.from_manifest(self.described, protected=self.protected)
        token, name, inputs = (self.described[key] for key in ("type", "name", "inputs"))
        made = sources.from_pulumi(token, name, inputs, urn=f"{urn}::{token}::{name}", protected=bool(self.protected))
        assert made is not None, f"{token}: rules see no such resource"
        return made


@cache
def cases() -> tuple[Case, ...]:
    """Return the whole corpus."""
    return tuple(case for file in sorted(_FOLDER.glob("*.yaml")) for case in _of_file(file))


def alone() -> list[Case]:
    """Return the cases that are judged by themselves."""
    return [case for case in cases() if not case.stack]


def stacks() -> dict[str, list[Case]]:
    """Return the cases that are judged together, by the name of their stack."""
    names = dict.fromkeys(case.stack for case in cases() if case.stack)
    return {name: [case for case in cases() if case.stack == name] for name in names}


@cache
def settings() -> configuration.Configuration:
    """Return the configuration that the expectations go by."""
    return configuration.load(TODAY, _FOLDER / "policies.toml")


def _of_file(file: Path) -> list[Case]:
    # The loader knows nothing but the safe types and the mark.
    content = cast("dict[str, Any]", yaml.load(file.read_text(encoding="utf-8"), _Loader))  # noqa: S506
    found = [_case(file.stem, "", item) for item in content.get("cases", ())]
    for stack, items in content.get("stacks", {}).items():
        found += [_case(file.stem, stack, item) for item in items]
    return found


def _case(topic: str, stack: str, item: Mapping[str, Any]) -> Case:
    described = item["manifest"] if "manifest" in item else {key: item[key] for key in ("type", "name", "inputs")}
    breaks, unknown, exempt, filled_in = (
        frozenset(_flat(item.get(key, ()))) for key in ("breaks", "unknown", "exempt", "filled_in")
    )
    return Case(
        topic=topic,
        stack=stack,
        described=described,
        protected=item.get("protect"),
        breaks=breaks,
        unknown=unknown,
        exempt=exempt,
        filled_in=filled_in,
    )


def _flat(items: Iterable[Any]) -> list[str]:
    """Return the names in lists of lists: YAML can name a list of rules, but not join two."""
    return [name for item in items for name in ([item] if isinstance(item, str) else _flat(item))]
