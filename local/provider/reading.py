"""Reads objects back, for refresh and for import."""

from __future__ import annotations

from local.provider import objects, outputs
from local.provider.discovery import UnknownKindError
from local.provider.pruning import imported_inputs, inputs_from_live
from local.provider.session import Session
from local.provider.target import Target, not_ready
from local.provider.values import Object, as_object, mark_secrets, reveal
from local.provider.waiting import Waiter


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
