"""Small readers and writers for Kubernetes objects held as plain dictionaries."""

from __future__ import annotations

import base64
from typing import Any, Final

from local.provider.values import Object, as_object, pluck

DEFAULT_NAMESPACE: Final = "default"

OWNER_ANNOTATION: Final = "mlplatform.dev/pulumi-urn"
"""Says which resource of which stack made an object: the proof of ownership that managedFields cannot give."""
AUTONAMED_ANNOTATION: Final = "pulumi.com/autonamed"
SKIP_AWAIT_ANNOTATION: Final = "pulumi.com/skipAwait"
TIMEOUT_ANNOTATION: Final = "pulumi.com/timeoutSeconds"
FORCE_ANNOTATION: Final = "pulumi.com/patchForce"
PROPAGATION_ANNOTATION: Final = "pulumi.com/deletionPropagationPolicy"

SERVER_METADATA: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Fields of metadata that only the API server writes."""


def api_version(obj: Object) -> str:
    """Return apiVersion; Pulumi's `core/v1` is Kubernetes' `v1`."""
    version = obj.get("apiVersion")
    return version.removeprefix("core/") if isinstance(version, str) else ""


def group(obj: Object) -> str:
    """Return the API group, empty for the core group."""
    version = api_version(obj)
    return version.partition("/")[0] if "/" in version else ""


def kind(obj: Object) -> str:
    """Return the kind, or an empty text."""
    value = obj.get("kind")
    return value if isinstance(value, str) else ""


def name(obj: Object) -> str:
    """Return metadata.name, or an empty text where it is absent or unknown."""
    value = pluck(obj, "metadata", "name")
    return value if isinstance(value, str) else ""


def namespace(obj: Object) -> str:
    """Return metadata.namespace, or an empty text where it is absent or unknown."""
    value = pluck(obj, "metadata", "namespace")
    return value if isinstance(value, str) else ""


def uid(obj: Object) -> str:
    """Return metadata.uid, or an empty text."""
    value = pluck(obj, "metadata", "uid")
    return value if isinstance(value, str) else ""


def annotation(obj: Object, key: str) -> str | None:
    """Return one annotation."""
    value = pluck(obj, "metadata", "annotations", key)
    return value if isinstance(value, str) else None


def is_annotated_true(obj: Object, key: str) -> bool:
    """Tell whether an annotation says `true`."""
    return (annotation(obj, key) or "").lower() == "true"


def with_metadata(obj: Object, **fields: Any) -> Object:
    """Return a copy of `obj` whose metadata has `fields` set."""
    return {**obj, "metadata": {**as_object(obj.get("metadata")), **fields}}


def with_annotation(obj: Object, key: str, value: str) -> Object:
    """Return a copy of `obj` that carries an annotation."""
    return with_metadata(obj, annotations={**as_object(pluck(obj, "metadata", "annotations")), key: value})


def display_name(obj: Object) -> str:
    """Return how messages call an object: kind, namespace and name."""
    place = f"{namespace(obj)}/" if namespace(obj) else ""
    return f"{kind(obj)} {place}{name(obj)}"


def resource_id(obj: Object) -> str:
    """Return the Pulumi ID of an object, the same as the official provider's."""
    return f"{namespace(obj)}/{name(obj)}" if namespace(obj) else name(obj)


def parse_resource_id(text: str) -> tuple[str, str]:
    """Return namespace (may be empty) and name of a Pulumi ID.

    Raises:
        ValueError: the text is not `NAME` or `NAMESPACE/NAME`.
    """
    parts = text.split("/")
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"resource ID {text!r}: allowed is NAME or NAMESPACE/NAME")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", parts[0])


def is_secret(obj: Object) -> bool:
    """Tell whether an object is a core Secret."""
    return api_version(obj) == "v1" and kind(obj) == "Secret"


def to_apply(inputs: Object) -> Object:
    """Return the object that the API server is asked for: inputs without nulls, `stringData` moved into `data`."""
    desired = as_object(_without_nulls(inputs))
    desired["apiVersion"] = api_version(inputs)
    metadata = as_object(desired.get("metadata"))
    desired["metadata"] = {key: value for key, value in metadata.items() if key not in SERVER_METADATA}
    desired.pop("status", None)
    if is_secret(desired) and "stringData" in desired:
        texts = as_object(desired.pop("stringData"))
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        desired["data"] = {**as_object(desired.get("data")), **encoded}
    return desired


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in as_object(value).items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]  # pyright: ignore[reportUnknownVariableType] any JSON
    return value
