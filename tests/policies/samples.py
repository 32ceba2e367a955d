"""Resources made from the rules' own examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies import sources
from policies._examples import CLOUD, MANIFESTS
from policies._model import ObjectRule, Resource
from policies._paths import changed


def resource_of(kind: str, patch: Mapping[str, Any]) -> Resource:
    """Return the sound resource of a kind, changed by a patch."""
    if kind in MANIFESTS:
        return sources.from_manifest(changed(MANIFESTS[kind], patch))
    token, properties = CLOUD[kind]
    found = sources.from_pulumi(token, "example", changed(properties, patch), urn="urn::example", protected=True)
    assert found is not None
    return found


def example(rule: ObjectRule, patch: Mapping[str, Any]) -> Resource:
    """Return the resource of a rule's example, changed by a patch."""
    return resource_of(rule.example.of, patch)
