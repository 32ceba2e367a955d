"""What every embedded node has beyond bare Kubernetes: name service, metrics, storage class, the mesh's definitions."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

from local.node.config import CLUSTER_DOMAIN, DNS_SERVICE_ADDRESS
from local.node.errors import NodeError
from local.node.handle import NodeHandle
from local.node.layout import Layout
from local.progress import Progress, heartbeat

IMAGES: Final = ("coredns", "metrics-server")
"""Logical names of the images that must have been imported."""
_FOLDER: Final = Path(__file__).parent
_FILES: Final = ("marker.yaml", "storage.yaml", "coredns.yaml", "metrics-server.yaml")
_FIELD_MANAGER: Final = "mlplatform-node"
_ROLLOUT_SECONDS: Final = 120
_ESTABLISHED_SECONDS: Final = 60


def install_addons(handle: NodeHandle, images: Mapping[str, str], progress: Progress) -> None:
    """Install or update everything, and return once names are resolved and the definitions can be used.

    Server-side apply, so an addon that somebody damaged is repaired and an unchanged one is left alone.

    Args:
        handle: the running node.
        images: logical image name -> reference; `coredns` and `metrics-server` are needed.
        progress: told what is being done.

    Raises:
        NodeError: an image is missing, the API server refused something, or name service did not become ready.
    """
    lacking = [name for name in IMAGES if name not in images]
    if lacking:
        raise NodeError(f"images {', '.join(lacking)}: no reference given; needed are {', '.join(IMAGES)}")
    with heartbeat(progress, "installing the node's addons and resource definitions"):
        definitions = [str(path) for path in definition_files()]
        apply(handle, "-", *definitions, stdin=manifests(handle.config.name, images))
        await_definitions(handle, definitions)
    with heartbeat(progress, "waiting for name service"):
        timeout = f"--timeout={_ROLLOUT_SECONDS}s"
        kubectl(handle, "--namespace=kube-system", "rollout", "status", "deployment/coredns", timeout)


def manifests(instance: str, images: Mapping[str, str]) -> str:
    """Return the addons' objects as one YAML stream, with the instance's name and image references filled in."""
    values = {
        "INSTANCE": instance,
        "IMAGE_COREDNS": images["coredns"],
        "IMAGE_METRICS_SERVER": images["metrics-server"],
        "CLUSTER_DOMAIN": CLUSTER_DOMAIN,
        "DNS_SERVICE_ADDRESS": DNS_SERVICE_ADDRESS,
    }
    return "---\n".join(manifest(name, values) for name in _FILES)


def manifest(file: str, values: Mapping[str, str]) -> str:
    """Return one file of addons/ with its placeholders filled in."""
    return Template((_FOLDER / "addons" / file).read_text()).substitute(values)


def definition_files() -> list[Path]:
    """Return the files with custom resource definitions."""
    return sorted((_FOLDER / "crds").glob("*.yaml"))


def apply(handle: NodeHandle, *files: str, stdin: str | None = None) -> None:
    """Create or repair what is in these files; `-` stands for `stdin`.

    Raises:
        NodeError: the API server refused something.
    """
    named = (f"--filename={name}" for name in files)
    manager = f"--field-manager={_FIELD_MANAGER}"
    kubectl(handle, "apply", "--server-side", "--force-conflicts", manager, *named, stdin=stdin)


def await_definitions(handle: NodeHandle, files: Sequence[str]) -> None:
    """Return once the kinds that these files define can be used.

    Raises:
        NodeError: that takes too long.
    """
    named = (f"--filename={name}" for name in files)
    kubectl(handle, "wait", "--for=condition=Established", f"--timeout={_ESTABLISHED_SECONDS}s", *named)


def kubectl(handle: NodeHandle, *arguments: str, stdin: str | None = None) -> None:
    """Run kubectl on a node.

    Raises:
        NodeError: it failed; the message holds what it said.
    """
    command = [handle.config.binaries["kubectl"], f"--kubeconfig={handle.kubeconfig}", *arguments]
    # Else kubectl keeps what it learned in the user's home, where nobody would remove it.
    environment = {**os.environ, "KUBECACHEDIR": str(Layout(handle.config.state_dir).kubectl_cache)}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise NodeError(f"kubectl {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}")
