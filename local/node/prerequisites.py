"""What a stack may take to be present in its cluster, and an embedded node brings when the stack does.

Every node has the mesh; the rest costs time to build and memory to run, so a node gets it only where it is asked for,
and keeps it until it is destroyed: objects of the stack may depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from local.node.addons import apply, await_definitions, kubectl, manifest
from local.node.handle import NodeHandle
from local.progress import Progress, heartbeat

_READY_SECONDS: Final = 240
"""KEDA's operator makes certificates first, and the kubelet brings them to its pods up to a minute later."""


class Tools(Protocol):
    """The part of the toolchain that has the definitions."""

    def bin(self, name: str) -> Path:
        """Return the file of one program, or of what lies beside it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prerequisite:
    """How an embedded node comes to have something."""

    tool: str
    """What has to be built, by its name in the toolchain."""
    image: str
    """Logical name."""
    manifest: str
    """File below addons/ with everything but the definitions."""
    namespace: str
    definitions: tuple[str, ...]
    """Files of the tool with the kinds that it knows."""
    answers: tuple[str, ...]
    """APIs that the cluster offers through it."""


PREREQUISITES: Final[Mapping[str, Prerequisite]] = {
    "keda": Prerequisite(
        tool="keda",
        image="keda",
        manifest="keda.yaml",
        namespace="keda",
        definitions=(
            "eventing.keda.sh_cloudeventsources.yaml",
            "eventing.keda.sh_clustercloudeventsources.yaml",
            "keda.sh_clustertriggerauthentications.yaml",
            "keda.sh_scaledjobs.yaml",
            "keda.sh_scaledobjects.yaml",
            "keda.sh_triggerauthentications.yaml",
        ),
        answers=("v1beta1.external.metrics.k8s.io",),
    )
}
"""By the name under which the setting `prerequisites` knows it."""


def install_prerequisite(
    handle: NodeHandle, name: str, images: Mapping[str, str], tools: Tools, progress: Progress
) -> None:
    """Install or update one of PREREQUISITES, and return once it does its work.

    Args:
        handle: the running node, to which its image has been loaded.
        name: as in the setting.
        images: logical image name -> reference.
        tools: the toolchain with its tool.
        progress: told what is being done.

    Raises:
        NodeError: the API server refused something, or it did not become ready.
    """
    wanted = PREREQUISITES[name]
    with heartbeat(progress, f"installing {name}"):
        definitions = [str(tools.bin(file)) for file in wanted.definitions]
        apply(handle, *definitions)
        await_definitions(handle, definitions)
        objects = manifest(wanted.manifest, {f"IMAGE_{wanted.image.upper()}": images[wanted.image]})
        apply(handle, "-", stdin=objects)
    with heartbeat(progress, f"waiting for {name}"):
        timeout = f"--timeout={_READY_SECONDS}s"
        kubectl(handle, f"--namespace={wanted.namespace}", "rollout", "status", "deployment", timeout)
        for api in wanted.answers:
            kubectl(handle, "wait", "--for=condition=Available", f"apiservice/{api}", timeout)
