"""Whether a cluster has what a stack expects to find there; `mlp prerequisites` and the program ask in the same way.

Reads definitions, Deployments, devices and nodes by their paths, so that nothing but these is asked for: no cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, cast
from urllib.parse import quote

from ml.contracts.prerequisites import PREREQUISITES, Prerequisite

JsonObject = dict[str, Any]
Read = Callable[[str], JsonObject]
"""Returns what lies at a path of the Kubernetes API."""

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
_GROUPS: Final = "/apis"
_DEVICES: Final = ("resource.k8s.io", "v1")
"""Group and version in which Kubernetes knows devices."""
_DEVICE_CLASSES: Final = f"/apis/{'/'.join(_DEVICES)}/deviceclasses"
_DEVICE_SLICES: Final = f"/apis/{'/'.join(_DEVICES)}/resourceslices"
"""What drivers say about the devices of nodes."""
_NODES: Final = "/api/v1/nodes"
_NAMED_NODES: Final = 5
_VERSION: Final = re.compile(r":v?(\d+)\.(\d+)[^:/]*$")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a stack expects, and what is wrong with it."""

    name: str
    """As in the setting."""
    title: str
    needed: str
    problems: tuple[str, ...]
    """None if it is as it must be."""

    def as_data(self) -> JsonObject:
        """Return it for programs."""
        return {**asdict(self), "met": not self.problems}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Everything that is not met, for a person."""

    what: str
    remedy: str


def check(read: Read, names: Sequence[str]) -> list[Finding]:
    """Look for everything; whatever `read` raises goes to the caller."""
    if not names:
        return []
    served = _served(read(DEFINITIONS))
    return [
        Finding(
            name=name,
            title=PREREQUISITES[name].title,
            needed=PREREQUISITES[name].version,
            problems=tuple(_problems(read, PREREQUISITES[name], served)),
        )
        for name in names
    ]


def refusal(stack: str, findings: Sequence[Finding], context: str | None = None) -> Refusal | None:
    """Return one message that names everything that is not met; None if there is nothing."""
    unmet = [finding for finding in findings if finding.problems]
    if not unmet:
        return None
    lines = [f"  - {item.title} {item.needed} or later: {'; '.join(item.problems)}" for item in unmet]
    count = f"{len(unmet)} prerequisite{'s' if len(unmet) > 1 else ''}"
    cluster = f"the cluster of context `{context}`" if context else "the cluster"
    names = ", ".join(f"{item.name}: install" for item in unmet if PREREQUISITES[item.name].installable)
    remedy = "install what is missing in the cluster"
    return Refusal(
        what=f"{count} of stack `{stack}` not met in {cluster}, nothing has been deployed into it:\n"
        + "\n".join(lines),
        remedy=f"{remedy}, or let the stack do it: `mlplatform:prerequisites: {{{names}}}`" if names else remedy,
    )


def _served(definitions: JsonObject) -> dict[str, set[str]]:
    """Return the versions in which the cluster serves every kind that somebody defined."""
    return {
        str(item["metadata"]["name"]): {str(each["name"]) for each in item["spec"]["versions"] if each["served"]}
        for item in _items(definitions)
        if _is_established(item)
    }


def _is_established(definition: JsonObject) -> bool:
    conditions = cast("list[JsonObject]", definition.get("status", {}).get("conditions") or [])
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _problems(read: Read, wanted: Prerequisite, served: Mapping[str, set[str]]) -> Iterator[str]:
    missing = [name for name in wanted.definitions if name not in served]
    if missing:
        yield f"the cluster does not know {', '.join(missing)}"
    for name, version in wanted.definitions.items():
        if name in served and version not in served[name]:
            others = ", ".join(sorted(served[name])) or "no version"
            yield f"{name} is served in {others}, needed is {version}"
    if wanted.device_class is not None:
        yield from _device_problems(read, wanted.device_class, wanted.counted_as)
    if wanted.operator is None:
        return
    images = _images(read(f"{_DEPLOYMENTS}?labelSelector={quote(wanted.operator)}"))
    if not images and not wanted.definitions:
        yield f"no Deployment has the labels {wanted.operator}"
    # A managed one has no Deployment here; an image that says no version is left to who chose it.
    yield from (f"{image} runs" for image in images if _is_older(image, wanted.version))


def _device_problems(read: Read, device_class: str, counted_as: str | None) -> Iterator[str]:
    group, version = _DEVICES
    groups = cast("list[JsonObject]", read(_GROUPS).get("groups") or [])
    versions = {each["version"] for item in groups if item["name"] == group for each in item["versions"]}
    if version not in versions:
        yield f"the cluster does not serve {group}/{version}, which Kubernetes does from 1.34 on"
    elif device_class not in {item["metadata"]["name"] for item in _items(read(_DEVICE_CLASSES))}:
        yield f"the cluster has no DeviceClass {device_class}"
    elif counted_as is not None and (nodes := _counting_twice(read, device_class, counted_as)):
        others = f" and {len(nodes) - _NAMED_NODES} more" if len(nodes) > _NAMED_NODES else ""
        yield f"a device plugin hands out the same devices on {', '.join(nodes[:_NAMED_NODES])}{others}"


def _counting_twice(read: Read, driver: str, counted_as: str) -> list[str]:
    """Return the nodes whose devices a driver offers while a device plugin counts them as well."""
    slices = _items(read(f"{_DEVICE_SLICES}?fieldSelector={quote(f'spec.driver={driver}')}"))
    offering = {item["spec"].get("nodeName") for item in slices}
    return sorted(
        str(node["metadata"]["name"])
        for node in (_items(read(_NODES)) if offering else [])
        if node["metadata"]["name"] in offering and _counts(node, counted_as)
    )


def _counts(node: JsonObject, start: str) -> bool:
    capacity = cast("dict[str, str]", node.get("status", {}).get("capacity") or {})
    return any(name.startswith(start) and amount != "0" for name, amount in capacity.items())


def _images(deployments: JsonObject) -> list[str]:
    return [
        str(container["image"])
        for item in _items(deployments)
        for container in item["spec"]["template"]["spec"]["containers"]
    ]


def _is_older(image: str, needed: str) -> bool:
    found = _VERSION.search(image.partition("@")[0])
    return found is not None and (int(found[1]), int(found[2])) < tuple(map(int, needed.split(".")))


def _items(listed: JsonObject) -> list[JsonObject]:
    return cast("list[JsonObject]", listed.get("items") or [])
