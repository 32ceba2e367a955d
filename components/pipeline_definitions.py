"""Makes the cluster know pipelines: the custom resource definitions of the workflow controller and of schedules.

Their texts are those that the two projects publish; components/crds/pipelines/README.md says from where.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels

_NAME: Final = "pipeline-definitions"
_FOLDER: Final = Path(__file__).parent / "crds" / "pipelines"


@dataclass(frozen=True, kw_only=True)
class PipelineDefinitionsArgs:
    """What distinguishes one platform's definitions from another's: whether they outlive the platform."""

    protect: bool
    """Whether the definitions stay when the platform is removed; with them would go every workflow and schedule."""


class PipelineDefinitions(PlatformComponent):
    """The definitions of workflows and schedules. A cluster has one of each, whatever the number of platforms in it."""

    kinds: pulumi.Output[str]
    """Names of the definitions, separated by commas; what takes them from here comes after the definitions."""

    def __init__(self, name: str, args: PipelineDefinitionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        options = pulumi.ResourceOptions.merge(self.child(), pulumi.ResourceOptions(retain_on_delete=args.protect))
        resources = [
            k8s.apiextensions.v1.CustomResourceDefinition(
                f"{name}-{kind}",
                metadata=k8s.meta.v1.ObjectMetaArgs(
                    name=definition["metadata"]["name"], labels=object_labels(_NAME, name)
                ),
                spec=definition["spec"],
                opts=options,
            )
            for kind, definition in _definitions().items()
        ]
        self.kinds = pulumi.Output.all(*[resource.metadata.name for resource in resources]).apply(",".join)
        self.finish(kinds=self.kinds)


@functools.cache
def _definitions() -> Mapping[str, Mapping[str, Any]]:
    return {
        file.stem: cast("Mapping[str, Any]", json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(_FOLDER.glob("*.json"))
    }
