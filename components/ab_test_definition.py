"""Makes the cluster know experiments: the custom resource definition of `ABTest`.

Its text is generated from the models that everything else uses (`ml.contracts.crd`) and read from a file here, so that
the program need not load them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components._base import PlatformComponent
from components._labels import object_labels

_NAME: Final = "ab-test-definition"
_FILE: Final = Path(__file__).parent / "crds" / "abtests.yaml"


@dataclass(frozen=True, kw_only=True)
class AbTestDefinitionArgs:
    """What distinguishes one platform's definition from another's: whether it outlives the platform."""

    protect: bool
    """Whether the definition stays when the platform is removed; with it would go every experiment."""


class AbTestDefinition(PlatformComponent):
    """The definition of the kind `ABTest`. A cluster has one, whatever the number of platforms in it."""

    kind: pulumi.Output[str]
    """Name of the definition, `abtests.mlplatform.dev`; what takes it from here comes after the definition."""

    def __init__(self, name: str, args: AbTestDefinitionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        definition = _definition()
        options = pulumi.ResourceOptions.merge(self.child(), pulumi.ResourceOptions(retain_on_delete=args.protect))
        resource = k8s.apiextensions.v1.CustomResourceDefinition(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=definition["metadata"]["name"], labels=object_labels(_NAME, name)),
            spec=definition["spec"],
            opts=options,
        )
        self.kind = resource.metadata.name.apply(str)
        self.finish(kind=self.kind)


@functools.cache
def _definition() -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", yaml.load(_FILE.read_text(encoding="utf-8"), yaml.CSafeLoader))
