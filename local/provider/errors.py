"""What can go wrong in an operation, worded for the person who runs `pulumi`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from local.provider import objects
from local.provider.kubeclient import ApiError
from local.provider.values import Object, secret_texts

_SHORTEST_REDACTED: Final = 4
"""Shorter secrets are not searched for in messages: they would black out ordinary words."""


class OperationError(Exception):
    """An operation did nothing, or nothing that has to be remembered."""


class NotReadyError(OperationError):
    """The object exists but did not become what it should; it belongs into the state."""

    def __init__(self, resource_id: str, outputs: Object, inputs: Object, reasons: Sequence[str]) -> None:
        super().__init__(reasons[0])
        self.resource_id = resource_id
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = tuple(reasons)


def foreign_object(obj: Object, owner: str | None) -> OperationError:
    """Return the error for an object that exists already and is not this resource's."""
    whose = f"it belongs to {owner}" if owner else "nothing says that this stack made it"
    return OperationError(
        f"{objects.display_name(obj)} exists already and {whose}; it is left alone. Remedy: give the resource another "
        "name, delete the object, or take it over with `pulumi import`."
    )


def name_is_taken(obj: Object) -> OperationError:
    """Return the error for a replacement that bears the name of the object it replaces."""
    return OperationError(
        f"{objects.display_name(obj)} is to be replaced by an object of the same name, which cannot exist beside it. "
        "Remedy: set delete_before_replace on the resource, or leave metadata.name out."
    )


def refused(obj: Object, error: ApiError) -> OperationError:
    """Return the error for a request that the API server refused."""
    what = objects.display_name(obj)
    if error.conflicts:
        fields = "; ".join(f"{field} ({message})" for field, message in error.conflicts)
        return OperationError(
            f"{what}: other managers own fields that the program sets: {fields}. Remedy: annotate the object with "
            f'{objects.FORCE_ANNOTATION}: "true" to take them over, or list them in ignore_changes to leave them.'
        )
    return OperationError(f"{what}: the API server refused it ({error.status} {error.reason or 'no reason'}): {error}")


def redact(text: str, values: Object) -> str:
    """Return `text` without the secrets of `values`, plain or as base64."""
    for secret in secret_texts(values):
        if len(secret) >= _SHORTEST_REDACTED:
            for form in (secret, base64.b64encode(secret.encode()).decode()):
                text = text.replace(form, "[secret]")
    return text
