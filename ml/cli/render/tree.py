"""A stack as a tree of components and what is in them, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ml.cli.render.graph import Declared, Rendered

_UNNAMED: Final = ""


def tree(rendered: Rendered) -> list[str]:
    """Return the lines of the tree; a resource that Pulumi refuses to delete is marked."""
    children: dict[str, list[Declared]] = {}
    for item in rendered.resources.values():
        children.setdefault(item.parent, []).append(item)
    return [rendered.title, *_below("", "", children)]


def counts(rendered: Rendered) -> dict[str, Any]:
    """Return how much there is, in all and by kind."""
    made = list(rendered.made())
    kinds = Counter(_kind(item) for item in made)
    return {
        "components": sum(item.is_component for item in rendered.resources.values()),
        "resources": len(made),
        "kubernetes": sum(item.type.startswith("kubernetes:") for item in made),
        "aws": sum(item.type.startswith("aws:") for item in made),
        "protected": sum(item.protect for item in made),
        "kinds": dict(sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))),
    }


def count_lines(found: Mapping[str, Any]) -> list[str]:
    """Return counts as text."""
    head = (
        f"{found['resources']} resources in {found['components']} components: {found['kubernetes']} in Kubernetes, "
        f"{found['aws']} on AWS; {found['protected']} protected"
    )
    return [head, *(f"{count:5} {kind}" for kind, count in found["kinds"].items())]


def label(item: Declared) -> str:
    """Return what a resource is called in a line of text."""
    metadata: dict[str, Any] = item.inputs.get("metadata", {}) if item.is_object else {}
    name: str = metadata.get("name", _UNNAMED)
    called = f" ({name})" if name not in (_UNNAMED, item.name) else ""
    return f"{item.kind} {item.name}{called}"


def _below(key: str, indent: str, children: Mapping[str, list[Declared]]) -> Iterator[str]:
    # By name: the order in which a program's resources are declared is not the same in every run.
    found = sorted(children.get(key, []), key=lambda item: (item.name, item.type))
    for index, item in enumerate(found):
        is_last = index == len(found) - 1
        mark = " [protected]" if item.protect else ""
        yield f"{indent}{'└─ ' if is_last else '├─ '}{label(item)}{mark}"
        yield from _below(item.key, f"{indent}{'   ' if is_last else '│  '}", children)


def _kind(item: Declared) -> str:
    package, _, rest = item.type.partition(":")
    module = rest.partition(":")[0].partition("/")[0]
    return f"{package} {module} {item.kind}" if package == "aws" else f"{package} {item.kind}"
