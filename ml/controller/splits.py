"""What the split VirtualService of a model must look like, as functions of plain objects.

A *root* VirtualService (owned by Pulumi) sends a model's requests on to the *split* (owned by this
controller). The split lists a destination for every slot, always, in the fixed order that the root's
annotation gives: with a single destination the gateway would refuse the sticky route and silently keep the
old weights.

Nothing here changes a weight that somebody has set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts import (
    MODEL_LABEL,
    SERVING_REST_PORT,
    SLOT_HEADER,
    SLOTS_ANNOTATION,
    SPLIT_ROUTE,
    STABLE_SLOT,
    TRAFFIC_ROLE_LABEL,
    TRAFFIC_ROLE_ROOT,
    TRAFFIC_ROLE_SPLIT,
    split_route_name,
)

API_GROUP: Final = "networking.istio.io"
API_VERSION: Final = "v1"
KIND: Final = "VirtualService"
PLURAL: Final = "virtualservices"
FIELD_MANAGER: Final = "experiment-controller"
ALL_TRAFFIC: Final = 100
"""Sum of the weights of one split, in percent."""

JsonObject = dict[str, Any]


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
    slots: tuple[str, ...]
    """All slots of the model, in the fixed order of destinations."""


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """What to write, if anything, and what a person has to repair."""

    manifest: JsonObject | None
    """The fields this controller owns, for a server-side apply; None when the split is as it should be."""
    exists: bool
    """Whether the plan was made from an existing split; the manifest then carries its resource version."""
    problems: tuple[str, ...] = ()


def model_of(body: Mapping[str, Any]) -> str | None:
    """Return the model whose root or split VirtualService this object is; None for any other object."""
    labels = _mapping(_mapping(body.get("metadata")).get("labels"))
    if labels.get(TRAFFIC_ROLE_LABEL) not in (TRAFFIC_ROLE_ROOT, TRAFFIC_ROLE_SPLIT):
        return None
    return labels.get(MODEL_LABEL) or None


def parse_root(body: Mapping[str, Any]) -> Root:
    """Read a root VirtualService.

    Raises:
        InvalidRootError: its model label or its slots annotation is missing or wrong.
    """
    metadata = _mapping(body.get("metadata"))
    name = str(metadata.get("name", ""))
    model = _mapping(metadata.get("labels")).get(MODEL_LABEL)
    if not model:
        raise InvalidRootError(f"VirtualService {name}: label {MODEL_LABEL} is missing; it must name the model")
    written = str(_mapping(metadata.get("annotations")).get(SLOTS_ANNOTATION, ""))
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
        slots=slots,
    )


def plan_split(root: Root, existing: Mapping[str, Any] | None, *, timeout_seconds: int) -> SplitPlan:
    """Decide what to write so that the root has its split.

    An existing split keeps its weights, whatever they are, and every field of the route that this function
    does not name (a mirror, for example). Slots it lacks are added with weight 0. A destination whose slot is
    no longer declared goes only when its weight is 0; otherwise it stays and is reported.
    """
    metadata = _mapping((existing or {}).get("metadata"))
    if metadata.get("deletionTimestamp"):
        return SplitPlan(manifest=None, exists=True)
    routes = _objects(_mapping((existing or {}).get("spec")).get("http"))
    current = next((route for route in routes if route.get("name") == SPLIT_ROUTE), None)
    destinations, problems = _merge(root, _objects((current or {}).get("route")))
    merged = {
        **(current or {}),
        "name": SPLIT_ROUTE,
        "route": destinations,
        # A prediction is asked for once: a retry would be counted twice and would hide a failing slot.
        "retries": {"attempts": 0},
        "timeout": f"{timeout_seconds}s",
    }
    wanted = [merged if route is current else dict(route) for route in routes] if current else [merged, *routes]
    manifest = _manifest(root, wanted)
    if existing is None:
        return SplitPlan(manifest=manifest, exists=False)
    if _holds(existing, manifest):
        return SplitPlan(manifest=None, exists=True, problems=problems)
    manifest["metadata"]["resourceVersion"] = metadata.get("resourceVersion")
    return SplitPlan(manifest=manifest, exists=True, problems=problems)


def _merge(root: Root, existing: Sequence[Mapping[str, Any]]) -> tuple[list[JsonObject], tuple[str, ...]]:
    """Return all destinations in their fixed order, and the problems that only a person can solve."""
    declared: dict[str, JsonObject] = {slot: _destination(root.model, slot) for slot in root.slots}
    undeclared: list[JsonObject] = []
    problems: list[str] = []
    for entry in existing:
        # The mesh reads a single destination as all of the traffic, whatever its weight says.
        weight = ALL_TRAFFIC if len(existing) == 1 else int(entry.get("weight") or 0)
        target = _mapping(entry.get("destination"))
        slot = str(target.get("subset", ""))
        if target.get("host") == root.model and slot in declared:
            declared[slot] = _kept(entry, declared[slot], weight)
        elif weight > 0:
            undeclared.append({**entry, "weight": weight})
            problems.append(
                f"{root.model}: {weight} % of the traffic goes to {target.get('host')} (subset {slot!r}), "
                "which is no longer a declared slot; the destination stays until its weight is 0"
            )
    destinations = [*declared.values(), *undeclared]
    if not existing:
        declared[STABLE_SLOT]["weight"] = ALL_TRAFFIC
    elif not any(entry["weight"] for entry in destinations):
        problems.append(f"{root.model}: every slot has weight 0, so no request is answered; set the weights")
    return destinations, tuple(problems)


def _kept(entry: Mapping[str, Any], declared: JsonObject, weight: int) -> JsonObject:
    """Return a declared destination with what the existing one says about weight and anything else."""
    headers = _mapping(entry.get("headers"))
    response = _mapping(headers.get("response"))
    named = {**_mapping(response.get("set")), **declared["headers"]["response"]["set"]}
    return {
        **entry,
        **declared,
        "headers": {**headers, "response": {**response, "set": named}},
        "weight": declared["weight"] + weight,
    }


def _destination(model: str, slot: str) -> JsonObject:
    return {
        "destination": {"host": model, "port": {"number": SERVING_REST_PORT}, "subset": slot},
        "headers": {"response": {"set": {SLOT_HEADER: slot}}},
        "weight": 0,
    }


def _manifest(root: Root, routes: Sequence[Mapping[str, Any]]) -> JsonObject:
    return {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": KIND,
        "metadata": {
            "name": split_route_name(root.model),
            "namespace": root.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
                MODEL_LABEL: root.model,
                TRAFFIC_ROLE_LABEL: TRAFFIC_ROLE_SPLIT,
            },
            "ownerReferences": [
                {
                    "apiVersion": f"{API_GROUP}/{API_VERSION}",
                    "kind": KIND,
                    "name": root.name,
                    "uid": root.uid,
                    "controller": False,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {"http": list(routes)},
    }


def _holds(existing: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Tell whether an object already has every field of a manifest."""
    metadata = _mapping(existing.get("metadata"))
    labels = _mapping(metadata.get("labels"))
    owners = _objects(metadata.get("ownerReferences"))
    wanted = manifest["metadata"]
    return (
        all(labels.get(key) == value for key, value in wanted["labels"].items())
        and all(owner in owners for owner in wanted["ownerReferences"])
        and _mapping(existing.get("spec")).get("http") == manifest["spec"]["http"]
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownVariableType] outside JSON


def _objects(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        return []
    return [_mapping(item) for item in value]  # pyright: ignore[reportUnknownVariableType] outside JSON
