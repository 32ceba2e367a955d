"""What a rule is and what it finds; rules import this and nothing else of the pack but its expressions and kinds."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Any, Final, cast

from policies._demand import Demand, Situation
from policies._kinds import OWNED, POD_SPECS
from policies._paths import MISSING, UNKNOWN, join, read


class Severity(Enum):
    """How bad it is where a rule is broken."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Level(Enum):
    """What a violation does to a deployment."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


class Verdict(Enum):
    """What is known about one resource and one rule."""

    VIOLATION = "violation"
    UNKNOWN = "unknown"
    EXEMPT = "exempt"


class Scope(Enum):
    """The part of a resource that a demand speaks about."""

    OBJECT = "object"
    POD = "pod"
    CONTAINERS = "containers"
    """All containers of the pod, those that prepare it included, each by itself."""
    SERVERS = "servers"
    """The containers that stay, each by itself."""


_LISTS: Final = {Scope.CONTAINERS: ("containers", "initContainers"), Scope.SERVERS: ("containers",)}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource, from a preview, a rendered graph or a cluster."""

    kind: str
    """`GROUP/KIND` as in `_kinds`, or `aws:MODULE/NAME`."""
    name: str
    properties: Mapping[str, Any]
    """With UNKNOWN in place of what is not known yet."""
    namespace: str = ""
    urn: str = ""
    protected: bool | None = None
    """Whether Pulumi refuses to delete it; None where that is not known, as in a cluster."""

    @property
    def title(self) -> str:
        """Kind, namespace and name, for people."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.rpartition('/')[2]} {place}{self.name}"

    def parts(self, scope: Scope) -> Sequence[tuple[str, Any]]:
        """Return the parts that a demand is about, with their paths; dozens of rules ask, they are looked up once."""
        if scope is Scope.OBJECT:
            return [("", self.properties)]
        if scope not in self._parts:
            self._parts[scope] = _parts_of(self, scope)
        return self._parts[scope]

    @cached_property
    def _parts(self) -> dict[Scope, list[tuple[str, Any]]]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that is broken, or of which that is not known."""

    resource: Resource
    message: str
    path: str = ""
    verdict: Verdict = Verdict.VIOLATION


@dataclass(frozen=True, kw_only=True)
class SettingRule:
    """A value of the configuration that a rule uses."""

    kind: str
    """`number`, `amount`, `text`, or `texts`."""
    default: Any
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """What breaks a rule, what keeps it, and what looks similar and is allowed; by path, on a sound resource."""

    of: str
    fails: Mapping[str, Any]
    passes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    neighbour: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needed: bool = False
    """Whether leaving out what `fails` sets breaks the rule as well."""


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """What all rules tell about themselves."""

    id: str
    title: str
    severity: Severity
    why: str
    how: str
    frameworks: tuple[str, ...] = ()
    settings: Mapping[str, SettingRule] = field(default_factory=dict[str, SettingRule])

    def values(self, configured: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every setting of this rule."""
        if not self.settings:
            return {}
        return {name: configured.get(name, setting.default) for name, setting in self.settings.items()}


@dataclass(frozen=True, kw_only=True)
class ObjectRule(Rule):
    """A demand on every resource of some kinds, judged without looking at others."""

    kinds: tuple[str, ...]
    demand: Demand
    example: Example
    scope: Scope = Scope.OBJECT
    when: Demand | None = None
    """On the whole object: where this does not hold, nothing is demanded."""
    fix: Mapping[str, Any] | None = None
    """Values by path, below the part that `scope` names, that repair a violation without changing what runs."""

    def check(self, resource: Resource, settings: Mapping[str, Any]) -> list[Finding]:
        """Return what is wrong with one resource; never raises, whatever the resource holds."""
        if resource.kind not in self.kinds:
            return []
        situation = Situation(self.values(settings))
        applies = self.when.holds(resource.properties, "", situation) if self.when else True
        if applies is False:
            return []
        return [
            finding
            for place, part in resource.parts(self.scope)
            if (finding := self._judge(resource, place, part, applies, situation)) is not None
        ]

    def _judge(
        self, resource: Resource, place: str, part: Any, applies: bool | None, situation: Situation
    ) -> Finding | None:
        del situation.unknown_paths[:]
        if part is UNKNOWN:
            return Finding(
                resource=resource, message="not known before the update", path=place, verdict=Verdict.UNKNOWN
            )
        holds = self.demand.holds(part, place, situation)
        if holds is True:
            return None
        if holds is None or applies is None:
            where = situation.unknown_paths[0] if situation.unknown_paths else place
            return Finding(
                resource=resource, message="not known before the update", path=where, verdict=Verdict.UNKNOWN
            )
        name = read(part, "name")
        who = f"container {name}: " if self.scope in _LISTS and isinstance(name, str) else ""
        return Finding(resource=resource, message=f"{who}{self.title}", path=place)


@dataclass(frozen=True, kw_only=True)
class Situated:
    """A stack as a rule over several resources sees it."""

    resources: Sequence[Resource]
    settings: Mapping[str, Any]

    def of(self, *kinds: str) -> list[Resource]:
        """Return the resources of some kinds."""
        return [resource for resource in self.resources if resource.kind in kinds]


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """A demand on resources that only all of them together can fulfil."""

    check: Callable[[Situated], Iterable[Finding]]
    fails: tuple[Resource, ...]
    passes: tuple[Resource, ...]
    neighbour: tuple[Resource, ...]
    """Looks similar to what fails and is allowed."""
    unknown: tuple[Resource, ...]
    """Cannot be judged before the update."""
    missing: tuple[Resource, ...]
    """Lacks the field by which resources find each other; breaks the rule."""
    concerns: tuple[str, ...]
    """Kinds that can break it; without one of them it is not even asked."""


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """Leave to break one rule for a while."""

    rule: str
    stacks: tuple[str, ...]
    kind: str
    name: str
    """A name, or a beginning of names followed by `*`."""
    owner: str
    reason: str
    expires: date

    def covers(self, rule_id: str, resource: Resource) -> bool:
        """Say whether a resource may break a rule; what a controller made of an exempt workload may too."""
        if self.rule != rule_id:
            return False
        return (self.kind == resource.kind and self.names(resource.name)) or (
            self.kind in POD_SPECS and any(self._owns(owner) for owner in _controllers(resource))
        )

    def names(self, name: str) -> bool:
        """Say whether a name is meant."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name

    def _owns(self, owner: Mapping[str, Any]) -> bool:
        kind, name = owner.get("kind"), owner.get("name")
        if not isinstance(name, str):
            return False
        if kind == self.kind.rpartition("/")[2]:
            return self.names(name)
        between, ending = OWNED.get(self.kind, ("", ""))
        exact = name if self.name.endswith("*") else re.sub(f"{ending}$", "", name)
        return bool(between) and kind == between and self.names(exact)


def unknown(resource: Resource, path: str) -> Finding:
    """Return that a rule cannot be judged before a value is known."""
    return Finding(resource=resource, message="not known before the update", path=path, verdict=Verdict.UNKNOWN)


def _parts_of(resource: Resource, scope: Scope) -> list[tuple[str, Any]]:
    pod = POD_SPECS[resource.kind]
    if scope is Scope.POD:
        return [(pod, _present(read(resource.properties, pod)))]
    places = [join(pod, name) for name in _LISTS[scope]]
    return [part for place in places for part in _items(resource.properties, place)]


def _controllers(resource: Resource) -> list[Mapping[str, Any]]:
    found = read(resource.properties, "metadata.ownerReferences")
    items = cast("list[Any]", found) if isinstance(found, list) else []
    owners = [cast("Mapping[str, Any]", item) for item in items if isinstance(item, Mapping)]
    return [owner for owner in owners if owner.get("controller") is True]


def _present(value: Any) -> Any:
    return {} if value is MISSING else value


def _items(properties: Mapping[str, Any], place: str) -> list[tuple[str, Any]]:
    found = read(properties, place)
    if found is UNKNOWN:
        return [(place, UNKNOWN)]
    items = cast("list[Any]", found) if isinstance(found, list) else []
    return [(f"{place}.{index}", item) for index, item in enumerate(items)]
