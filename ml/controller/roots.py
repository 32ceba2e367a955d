"""What a root VirtualService says: whose requests it sends on, and in which order the split lists the slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts import MODEL_LABEL, SLOTS_ANNOTATION, STABLE_SLOT
from ml.controller.documents import mapping, objects

_MODEL_PATH: Final = "/v1/models/"


class InvalidRootError(ValueError):
    """A root VirtualService does not say what its split should be; the message names field and rule."""


@dataclass(frozen=True, kw_only=True)
class Root:
    """What a root VirtualService says about its split."""

    name: str
    uid: str
    namespace: str
    model: str
    """Name of the model as Kubernetes writes it, which is also the name of its Service."""
    registry_model: str
    """Name of the model in the registry and in the path of a request; empty if the route does not say."""
    slots: tuple[str, ...]
    """All slots of the model, in the fixed order of destinations."""


def parse_root(body: Mapping[str, Any]) -> Root:
    """Read a root VirtualService.

    Raises:
        InvalidRootError: its model label or its slots annotation is missing or wrong.
    """
    metadata = mapping(body.get("metadata"))
    name = str(metadata.get("name", ""))
    model = mapping(metadata.get("labels")).get(MODEL_LABEL)
    if not model:
        raise InvalidRootError(f"VirtualService {name}: label {MODEL_LABEL} is missing; it must name the model")
    written = str(mapping(metadata.get("annotations")).get(SLOTS_ANNOTATION, ""))
    slots = tuple(slot.strip() for slot in written.split(",") if slot.strip())
    if STABLE_SLOT not in slots or len(set(slots)) != len(slots):
        raise InvalidRootError(
            f"VirtualService {name}: annotation {SLOTS_ANNOTATION}={written!r}; allowed is a comma separated "
            f"list of different slots that holds {STABLE_SLOT!r}"
        )
    return Root(
        name=name,
        uid=str(metadata.get("uid", "")),
        namespace=str(metadata.get("namespace", "")),
        model=str(model),
        registry_model=_registry_model(body),
        slots=slots,
    )


def declared_slots(roots: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return each served model's slots by its registry name; roots that make no sense are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for body in roots:
        try:
            root = parse_root(body)
        except InvalidRootError:
            continue  # the keeper reports it
        if root.registry_model and not mapping(body.get("metadata")).get("deletionTimestamp"):
            found[root.registry_model] = root.slots
    return found


def _registry_model(body: Mapping[str, Any]) -> str:
    for route in objects(mapping(body.get("spec")).get("http")):
        for match in objects(route.get("match")):
            path = str(mapping(match.get("uri")).get("exact", ""))
            if path.startswith(_MODEL_PATH):
                return path.removeprefix(_MODEL_PATH)
    return ""
