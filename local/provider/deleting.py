"""Deletes objects and waits until they are gone."""

from __future__ import annotations

from collections.abc import Callable

from local.provider import objects, steering
from local.provider.discovery import UnknownKindError
from local.provider.errors import OperationError, refused
from local.provider.kubeclient import ApiError
from local.provider.session import Session
from local.provider.target import DELETE_TIMEOUT_SECONDS, Target
from local.provider.values import Object, reveal
from local.provider.waiting import Waiter


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
        session.client.delete(
            mapping.path(live), propagation=steering.propagation(reveal(target.inputs)), uid=objects.uid(live)
        )
    except ApiError as error:
        if error.is_not_found:
            return
        raise refused(live, error) from error
    try:
        Waiter(session).until_gone(live, mapping, target.timeout(DELETE_TIMEOUT_SECONDS), target.report)
    except TimeoutError as error:
        raise OperationError(f"{objects.display_name(live)}: {error}") from error
