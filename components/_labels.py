"""The labels of every object: the recommended ones, and the subset that selectors may use."""

from __future__ import annotations

import re

from components._naming import MAX_LABEL_LENGTH

PART_OF = "mlplatform"
MANAGED_BY = "pulumi"
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9._-]+")


def selector_labels(name: str, instance: str) -> dict[str, str]:
    """Return the labels that select the pods of one component; they never change during its life."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance}


def object_labels(name: str, instance: str, image: str | None = None) -> dict[str, str]:
    """Return the recommended labels of an object; `image` is the reference whose tag tells the version."""
    labels = {
        **selector_labels(name, instance),
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": MANAGED_BY,
    }
    if image is not None:
        labels["app.kubernetes.io/version"] = version_of(image)
    return labels


def version_of(image: str) -> str:
    """Return an image reference's tag, or the start of its digest, as a label value."""
    reference, _, digest = image.partition("@")
    tag = reference.rpartition("/")[2].partition(":")[2] or digest.rpartition(":")[2][:12]
    return _NOT_IN_LABELS.sub("-", tag)[:MAX_LABEL_LENGTH].strip("._-") or "unknown"
