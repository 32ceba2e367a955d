"""What a program declared: every resource as it was registered, and the outputs of its components."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True)
class Secret:
    """A recorded value that is marked secret."""

    value: Any


@dataclass(frozen=True)
class Unknown:
    """A recorded value that is not known before the update."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One resource as the program declared it."""

    urn: str
    type: str
    name: str
    custom: bool
    parent: str
    provider: str
    """Name of the provider's resource; empty for components."""
    inputs: Mapping[str, Any]
    """With `Secret` and `Unknown` in place of such values."""
    depends_on: tuple[str, ...]
    """URNs of all resources that it comes after, declared or by data."""
    property_dependencies: Mapping[str, tuple[str, ...]]
    protect: bool
    ignore_changes: tuple[str, ...]
    delete_before_replace: bool
    retain_on_delete: bool
    aliases: int

    @property
    def manifest(self) -> dict[str, Any]:
        """The Kubernetes object, with secrets opened."""
        return cast("dict[str, Any]", reveal(dict(self.inputs)))

    @property
    def kind(self) -> str:
        """Kubernetes kind."""
        return str(self.inputs.get("kind", ""))

    @property
    def object_name(self) -> str:
        """Name of the Kubernetes object; empty if the provider chooses it."""
        # Without opening the whole manifest: it is asked of every object when one is looked for.
        metadata = cast("dict[str, Any]", reveal(self.inputs.get("metadata", {})))
        return str(metadata.get("name", ""))

    @property
    def final_name(self) -> str:
        """Name of the Kubernetes object, as others in the graph refer to it."""
        return self.object_name or chosen_name(self.name, self.urn)


@dataclass
class Graph:
    """Everything that one run of a program declared."""

    resources: dict[str, Recorded] = field(default_factory=dict[str, Recorded])
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Outputs that each component, and the stack, registered; by URN."""
    output_registrations: dict[str, int] = field(default_factory=dict[str, int])
    stack_urn: str = ""

    @property
    def stack_outputs(self) -> Mapping[str, Any]:
        """What the program exported."""
        return self.outputs[self.stack_urn]

    def of_type(self, token: str) -> list[Recorded]:
        """Return the resources of one type."""
        return [resource for resource in self.resources.values() if resource.type == token]

    def of_kind(self, kind: str) -> list[Recorded]:
        """Return the Kubernetes objects of one kind."""
        return [resource for resource in self.resources.values() if resource.kind == kind]

    def object(self, kind: str, name: str) -> Recorded:
        """Return the one Kubernetes object of this kind whose object name, or logical name, this is."""
        found = [item for item in self.of_kind(kind) if name in (item.object_name, item.name)]
        if len(found) != 1:
            known = ", ".join(sorted(item.object_name or item.name for item in self.of_kind(kind)))
            raise AssertionError(f"{len(found)} objects {kind} {name!r}; there are: {known}")
        return found[0]

    def kubernetes_objects(self) -> list[Recorded]:
        """Return every declared Kubernetes object."""
        return [resource for resource in self.resources.values() if resource.kind]


def reveal(value: Any) -> Any:
    """Return a recorded value with all secrets opened."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [reveal(item) for item in cast("list[Any]", value)]
    return value


def chosen_name(name: str, urn: str) -> str:
    """Return the name that a recorded run gives to what its program leaves to the provider to name."""
    return f"{name}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"
