"""Fills the mesh's manifests with what differs between machines: image references."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from local.node.config import GATEWAY_SERVICE_ADDRESS

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
_FOLDER = Path(__file__).parent / "yaml"


def render(images: Mapping[str, str]) -> str:
    """Return the mesh as one YAML stream, in the order in which it can be applied.

    Args:
        images: logical image name to reference; `istiod` and `envoy` are needed.

    Raises:
        KeyError: one of the two images is missing.
    """
    bootstrap = (_FOLDER / "envoy-bootstrap.yaml").read_text(encoding="utf-8")
    istiod = _fill("istiod.yaml", ISTIOD_IMAGE=images["istiod"])
    gateway = _fill(
        "gateway.yaml",
        ENVOY_IMAGE=images["envoy"],
        ENVOY_BOOTSTRAP=textwrap.indent(bootstrap, "    ").strip(),
        ENVOY_BOOTSTRAP_HASH=hashlib.sha256(bootstrap.encode()).hexdigest()[:12],
        GATEWAY_CLUSTER_IP=GATEWAY_SERVICE_ADDRESS,
    )
    return f"{istiod}\n---\n{gateway}"


def _fill(file: str, **values: str) -> str:
    # Only ${NAME} is ours: Kubernetes' own $(POD_IP) must stay as it is.
    text = (_FOLDER / file).read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
