"""Completes and judges the inputs of a resource before anything is compared or applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from local.provider import objects, steering
from local.provider.naming import generate_name
from local.provider.outputs import with_secrets
from local.provider.values import Object, Unknown, as_object, pluck, reveal

_SUPPORTED_ANNOTATIONS: Final = frozenset(
    {
        objects.AUTONAMED_ANNOTATION,
        objects.FORCE_ANNOTATION,
        objects.PROPAGATION_ANNOTATION,
        objects.SKIP_AWAIT_ANNOTATION,
        objects.TIMEOUT_ANNOTATION,
    }
)
_UNSUPPORTED_MODULES: Final = ("helm.sh/", "yaml", "kustomize")


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How the engine wants unnamed objects to be named."""

    base: str
    """The resource's name in the program."""
    seed: bytes
    proposed: str | None = None
    """A name by the stack's own naming rules."""
    is_disabled: bool = False
    """The stack's naming rules forbid generated names."""


def token_problem(token: str) -> str | None:
    """Return why resources of a type cannot be handled, or None if they can."""
    module, _, kind = token.removeprefix("kubernetes:").partition(":")
    if module.startswith(_UNSUPPORTED_MODULES) or not kind:
        return f"{token}: the stand-in handles plain Kubernetes objects, no charts, YAML files or kustomizations"
    if kind.endswith("Patch"):
        return f"{token}: the stand-in handles no *Patch resources; declare the object or import it"
    if kind.endswith("List"):
        return f"{token}: lists cannot be declared; declare their elements"
    return None


def identity_from_token(token: str) -> Object:
    """Return apiVersion and kind of a type token such as `kubernetes:apps/v1:Deployment`."""
    module, _, kind = token.removeprefix("kubernetes:").partition(":")
    return {"apiVersion": module.removeprefix("core/"), "kind": kind}


def completed(inputs: Object, old_inputs: Object, naming: Naming, namespace: str) -> Object:
    """Return inputs with a name and, if one is given, the default namespace; a Secret's data marked secret.

    A name that was generated before is kept.
    """
    metadata = as_object(inputs.get("metadata"))
    name = metadata.get("name")
    if name is None and not naming.is_disabled:
        old_name = objects.name(old_inputs)
        was_generated = objects.is_annotated_true(old_inputs, objects.AUTONAMED_ANNOTATION)
        is_kept = bool(old_name) and was_generated
        name = old_name if is_kept else naming.proposed or generate_name(naming.base, naming.seed)
        inputs = objects.with_annotation(objects.with_metadata(inputs, name=name), objects.AUTONAMED_ANNOTATION, "true")
    if metadata.get("namespace") is None and namespace:
        inputs = objects.with_metadata(inputs, namespace=namespace)
    return with_secrets(inputs, inputs)


def problems(inputs: Object) -> list[tuple[str, str]]:
    """Return pairs of property and reason for everything that is wrong with completed inputs."""
    plain = as_object(reveal(inputs))
    found = [
        (key, f"{plain.get(key)!r}: a text is required")
        for key in ("apiVersion", "kind")
        if not isinstance(plain.get(key), str)
    ]
    if pluck(plain, "metadata", "name") is None:
        found.append(("metadata.name", "missing, and the stack's naming rules allow no generated names"))
    if pluck(plain, "metadata", "generateName") is not None:
        found.append(("metadata.generateName", "not possible with server-side apply; leave the name out instead"))
    for key, value in as_object(pluck(plain, "metadata", "annotations")).items():
        found += _annotation_problems(key, value)
    for check in (steering.timeout_seconds, steering.propagation):
        found += _problem_of(check, plain)
    return found


def _annotation_problems(key: str, value: Any) -> list[tuple[str, str]]:
    place = f'metadata.annotations["{key}"]'
    if key.startswith("pulumi.com/") and key not in _SUPPORTED_ANNOTATIONS:
        return [(place, f"the stand-in does not know it; it knows {', '.join(sorted(_SUPPORTED_ANNOTATIONS))}")]
    if not isinstance(value, str | Unknown):
        return [(place, f"{value!r}: a text is required")]
    return []


def _problem_of(check: Callable[[Object], object], inputs: Object) -> list[tuple[str, str]]:
    try:
        check(inputs)
    except ValueError as error:
        return [("metadata.annotations", str(error))]
    return []
