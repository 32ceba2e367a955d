"""Reads objects for refresh and import, and deletes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from local.provider import objects, outputs
from local.provider.discovery import UnknownKindError
from local.provider.errors import OperationError, refused
from local.provider.kubeclient import ApiError
from local.provider.operations import DELETE_TIMEOUT_SECONDS, Target, not_ready
from local.provider.pruning import imported_inputs, inputs_from_live
from local.provider.session import Session
from local.provider.values import Object, as_object, mark_secrets, reveal
from local.provider.waiting import Waiter

_PROPAGATION: Final = {"orphan": "Orphan", "background": "Background", "foreground": "Foreground"}


def read(session: Session, target: Target, identity: Object) -> tuple[str, Object, Object] | None:
    """Return ID, outputs and inputs of a live object, or None if it does not exist.

    Args:
        session: the cluster.
        target: the resource; without inputs it is being imported.
        identity: apiVersion, kind, and metadata with name and namespace.

    Raises:
        NotReadyError: it exists but is not in order.
    """
    try:
        mapping = session.discovery.mapping_of(identity)
    except UnknownKindError:
        return None  # its definition is gone, and every object with it
    live = session.client.find(mapping.path(identity))
    if live is None:
        return None
    resource_id = objects.resource_id(live)
    if not target.inputs:
        inputs = outputs.with_secrets(imported_inputs(live), {})
        return resource_id, outputs.of_live(live, inputs), inputs
    inputs = as_object(mark_secrets(inputs_from_live(live, reveal(target.inputs)), target.inputs))
    if not target.skips_waiting:
        outcome = Waiter(session).look(live)
        if not outcome.readiness.is_ready:
            raise not_ready(outcome, inputs)
    return resource_id, outputs.of_live(live, inputs), inputs


def delete(session: Session, target: Target, identity: Object, state: Object, warn: Callable[[str], None]) -> None:
    """Delete an object and wait until it is gone, together with what it owns; one that is gone already is fine.

    Raises:
        OperationError: it still exists.
    """
    try:
        mapping = session.discovery.mapping_of(identity)
    except UnknownKindError:
        return
    live = session.client.find(mapping.path(identity))
    if live is None:
        return
    if objects.uid(live) != objects.uid(state) and objects.annotation(live, objects.OWNER_ANNOTATION) != target.urn:
        warn(f"{objects.display_name(live)} is not the object that this stack made; it is left alone")
        return
    try:
        session.client.delete(mapping.path(live), propagation=propagation(reveal(target.inputs)), uid=objects.uid(live))
    except ApiError as error:
        if error.is_not_found:
            return
        raise refused(live, error) from error
    try:
        Waiter(session).until_gone(live, mapping, target.timeout(DELETE_TIMEOUT_SECONDS), target.report)
    except TimeoutError as error:
        raise OperationError(f"{objects.display_name(live)}: {error}") from error


def propagation(inputs: Object) -> str:
    """Return how deletion treats what an object owns: by default it waits for it to go first.

    Raises:
        ValueError: the annotation has a value that is not allowed.
    """
    text = (objects.annotation(inputs, objects.PROPAGATION_ANNOTATION) or "foreground").lower()
    if text not in _PROPAGATION:
        raise ValueError(
            f"annotation {objects.PROPAGATION_ANNOTATION}={text!r}: allowed are {', '.join(sorted(_PROPAGATION))}"
        )
    return _PROPAGATION[text]
