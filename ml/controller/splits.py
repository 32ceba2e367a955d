"""What the split VirtualService of a model must look like, as functions of plain objects.

A *root* VirtualService (owned by Pulumi) sends a model's requests on to the *split* (owned by this
controller). The split lists a destination for every slot, always, in the fixed order that the root's
annotation gives: with a single destination the gateway would refuse the sticky route and silently keep the
old weights. With more than one candidate the stable slot has several destinations (`ml.experiments.layout`).

Keeping a split changes no weight that somebody has set; weights change only where a route is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml.contracts import (
    MODEL_LABEL,
    SERVING_REST_PORT,
    SLOT_HEADER,
    STABLE_SLOT,
    TRAFFIC_ROLE_LABEL,
    TRAFFIC_ROLE_ROOT,
    TRAFFIC_ROLE_SPLIT,
    salt_index_of,
    split_route,
    split_route_name,
)
from ml.controller.documents import mapping, objects
from ml.controller.ports import Mirror, RouteState
from ml.controller.roots import Root
from ml.experiments.layout import stretches
from ml.experiments.specification import TOTAL_WEIGHT
from ml.kubernetes import VIRTUAL_SERVICES, JsonObject

API_VERSION: Final = f"{VIRTUAL_SERVICES.group}/{VIRTUAL_SERVICES.version}"
KIND: Final = "VirtualService"
FIELD_MANAGER: Final = "experiment-controller"


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
    labels = mapping(mapping(body.get("metadata")).get("labels"))
    if labels.get(TRAFFIC_ROLE_LABEL) not in (TRAFFIC_ROLE_ROOT, TRAFFIC_ROLE_SPLIT):
        return None
    return labels.get(MODEL_LABEL) or None


def route_of(split: Mapping[str, Any]) -> RouteState | None:
    """Return what a split says; None if it has no route of ours, or nothing that could be weighed."""
    route = _current(objects(mapping(split.get("spec")).get("http")))
    salt_index = salt_index_of(str((route or {}).get("name", "")))
    entries = objects((route or {}).get("route"))
    if route is None or salt_index is None or not entries:
        return None
    destinations = [
        (str(mapping(entry.get("destination")).get("subset", "")), _weight(entry, entries)) for entry in entries
    ]
    return route_with((), destinations, salt_index, _mirror_of(route))


def route_with(
    slots: Iterable[str], destinations: Sequence[tuple[str, int]], salt_index: int, mirror: Mirror | None
) -> RouteState:
    """Return the route that has these destinations in this order; slots that it does not list have weight 0."""
    weights = dict.fromkeys(slots, 0)
    for slot, weight in destinations:
        weights[slot] = weights.get(slot, 0) + weight
    is_plain = stretches(destinations) == stretches(tuple(weights.items()))
    layout = () if is_plain else tuple(destinations)
    return RouteState(weights=weights, salt_index=salt_index, mirror=mirror, layout=layout)


def plan_split(
    root: Root, existing: Mapping[str, Any] | None, *, timeout_seconds: int, wanted: RouteState | None = None
) -> SplitPlan:
    """Decide what to write so that the root has its split.

    Without a wanted route an existing split keeps its weights, whatever they are, its salt and every field of the
    route that this function does not name (a mirror, for example). Slots it lacks are added with weight 0. A
    destination whose slot is no longer declared goes only when its weight is 0; otherwise it stays and is reported.

    Raises:
        ValueError: the wanted route names a slot that is not declared, or gives no slot any weight.
    """
    metadata = mapping((existing or {}).get("metadata"))
    if metadata.get("deletionTimestamp"):
        return SplitPlan(manifest=None, exists=True)
    routes = objects(mapping((existing or {}).get("spec")).get("http"))
    current = _current(routes)
    salt_index = salt_index_of(str((current or {}).get("name", ""))) or 0
    destinations, problems = _merge(root, objects((current or {}).get("route")))
    merged = {
        **(current or {}),
        "name": split_route(salt_index),
        "route": destinations,
        # A prediction is asked for once: a retry would be counted twice and would hide a failing slot.
        "retries": {"attempts": 0},
        "timeout": f"{timeout_seconds}s",
    }
    if wanted is not None:
        merged, problems = _routed(root, merged, wanted), ()
    manifest = _manifest(root, [merged if route is current else dict(route) for route in routes])
    if current is None:
        manifest["spec"]["http"].insert(0, merged)
    if existing is None:
        return SplitPlan(manifest=manifest, exists=False)
    if _holds(existing, manifest):
        return SplitPlan(manifest=None, exists=True, problems=problems)
    manifest["metadata"]["resourceVersion"] = metadata.get("resourceVersion")
    return SplitPlan(manifest=manifest, exists=True, problems=problems)


def _routed(root: Root, route: JsonObject, wanted: RouteState) -> JsonObject:
    """Return a route with the weights, the salt and the mirror that are asked for; a foreign mirror stays."""
    named = {**wanted.weights, **({wanted.mirror.slot: 0} if wanted.mirror else {})}
    if unknown := set(named) - set(root.slots):
        raise ValueError(f"{root.model}: slots={sorted(unknown)}: allowed are {list(root.slots)}")
    if not any(wanted.weights.values()) or min(wanted.weights.values()) < 0:
        raise ValueError(f"{root.model}: weights={dict(wanted.weights)}: allowed are numbers >= 0, not all 0")
    kept = {entry["destination"]["subset"]: entry for entry in route["route"]}
    destinations = wanted.layout or [(slot, wanted.weights.get(slot, 0)) for slot in root.slots]
    changed = {
        **route,
        "name": split_route(wanted.salt_index),
        "route": [{**kept[slot], "weight": weight} for slot, weight in destinations],
    }
    if wanted.mirror is not None:
        changed["mirror"] = _target(root.model, wanted.mirror.slot)
        changed["mirrorPercentage"] = {"value": wanted.mirror.percent}
    elif mapping(route.get("mirror")).get("host") == root.model:
        del changed["mirror"]
        changed.pop("mirrorPercentage", None)
    return changed


def _merge(root: Root, existing: Sequence[Mapping[str, Any]]) -> tuple[list[JsonObject], tuple[str, ...]]:
    """Return all destinations in their fixed order, and the problems that only a person can solve.

    Further destinations of the stable slot stay before the slot that they keep apart; see `ml.experiments.layout`.
    """
    declared: dict[str, JsonObject] = {slot: _destination(root.model, slot) for slot in root.slots}
    gaps: dict[str, list[JsonObject]] = {slot: [] for slot in root.slots}
    undeclared: list[JsonObject] = []
    problems: list[str] = []
    waiting: list[JsonObject] = []
    has_stable = False
    for entry in existing:
        weight = _weight(entry, existing)
        target = mapping(entry.get("destination"))
        slot = str(target.get("subset", ""))
        if target.get("host") == root.model and slot in declared:
            if slot == STABLE_SLOT and has_stable:
                waiting.append(_kept(entry, _destination(root.model, slot), weight))
                continue
            has_stable = has_stable or slot == STABLE_SLOT
            gaps[slot], waiting = [*gaps[slot], *waiting], []
            declared[slot] = _kept(entry, declared[slot], weight)
        elif weight > 0:
            undeclared.append({**entry, "weight": weight})
            problems.append(
                f"{root.model}: weight {weight} is on {target.get('host')} (subset {slot!r}), "
                "which is no longer a declared slot; the destination stays until its weight is 0"
            )
    declared[STABLE_SLOT]["weight"] += sum(entry["weight"] for entry in waiting)
    listed = [entry for slot in root.slots for entry in (*gaps[slot], declared[slot])]
    destinations = [*listed, *undeclared]
    if not existing:
        declared[STABLE_SLOT]["weight"] = TOTAL_WEIGHT
    elif not any(entry["weight"] for entry in destinations):
        problems.append(f"{root.model}: every slot has weight 0, so no request is answered; set the weights")
    return destinations, tuple(problems)


def _kept(entry: Mapping[str, Any], declared: JsonObject, weight: int) -> JsonObject:
    """Return a declared destination with what the existing one says about weight and anything else."""
    headers = mapping(entry.get("headers"))
    response = mapping(headers.get("response"))
    named = {**mapping(response.get("set")), **declared["headers"]["response"]["set"]}
    return {
        **entry,
        **declared,
        "headers": {**headers, "response": {**response, "set": named}},
        "weight": declared["weight"] + weight,
    }


def _destination(model: str, slot: str) -> JsonObject:
    return {
        "destination": _target(model, slot),
        "headers": {"response": {"set": {SLOT_HEADER: slot}}},
        "weight": 0,
    }


def _target(model: str, slot: str) -> JsonObject:
    return {"host": model, "port": {"number": SERVING_REST_PORT}, "subset": slot}


def _weight(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> int:
    # The mesh reads a single destination as all of the traffic, whatever its weight says.
    return int(entry.get("weight") or 0) or (TOTAL_WEIGHT if len(entries) == 1 else 0)


def _current(routes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((route for route in routes if salt_index_of(str(route.get("name", ""))) is not None), None)


def _mirror_of(route: Mapping[str, Any]) -> Mirror | None:
    """Return the mirror to a slot; copies that go to anything else are not ours."""
    target = mapping(route.get("mirror"))
    slot = target.get("subset")
    own = {mapping(entry.get("destination")).get("host") for entry in objects(route.get("route"))}
    if not slot or target.get("host") not in own:
        return None
    percent = mapping(route.get("mirrorPercentage")).get("value", 100.0)
    return Mirror(slot=str(slot), percent=float(percent))


def _manifest(root: Root, routes: Sequence[Mapping[str, Any]]) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
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
                    "apiVersion": API_VERSION,
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
    metadata = mapping(existing.get("metadata"))
    labels = mapping(metadata.get("labels"))
    owners = objects(metadata.get("ownerReferences"))
    wanted = manifest["metadata"]
    return (
        all(labels.get(key) == value for key, value in wanted["labels"].items())
        and all(owner in owners for owner in wanted["ownerReferences"])
        and mapping(existing.get("spec")).get("http") == manifest["spec"]["http"]
    )
