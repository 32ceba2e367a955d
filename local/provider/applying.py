"""Makes and changes objects by server-side apply, for real or as a forecast."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from local.provider import errors, objects, outputs
from local.provider.discovery import Mapping, UnknownKindError
from local.provider.errors import OperationError
from local.provider.ignoring import without_ignored_changes
from local.provider.kubeclient import ApiError
from local.provider.memory import RunMemory
from local.provider.paths import Path
from local.provider.readiness import DEFAULT_TIMEOUT_SECONDS
from local.provider.session import Session
from local.provider.target import DELETE_TIMEOUT_SECONDS, Target, not_ready
from local.provider.values import Object, as_object, contains_unknown, pluck, reveal
from local.provider.waiting import VanishedError, Waiter


class Applier:
    """Creates and updates objects by server-side apply."""

    def __init__(self, session: Session, memory: RunMemory) -> None:
        self._session = session
        self._waiter = Waiter(session)
        self._memory = memory

    def create(self, target: Target) -> tuple[str, Object]:
        """Make an object; return its ID and outputs.

        An object that an interrupted run of this very resource left behind is continued with.

        Raises:
            NotReadyError: it was made, but is not ready.
            OperationError: it was not made.
        """
        desired, mapping = self._desired(target)
        live = self._settled(desired, mapping, target)
        if live is not None:
            owner = objects.annotation(live, objects.OWNER_ANNOTATION)
            if owner != target.urn:
                raise errors.foreign_object(live, owner)
            if self._memory.is_old(live):
                raise errors.name_is_taken(live)
            self._memory.note_adopted(live)
        return self._apply(desired, mapping, target)

    def update(self, target: Target, state: Object, ignored: Sequence[Path]) -> Object:
        """Change an object and return its outputs; one that was deleted meanwhile is made again.

        Raises:
            NotReadyError: it was changed, but is not ready.
            OperationError: it was not changed.
        """
        desired, mapping = self._desired(target)
        live = self._settled(desired, mapping, target)
        if live is not None:
            _require_own(live, target.urn, state)
            desired = without_ignored_changes(desired, live, _as_applied(ignored))
        return self._apply(desired, mapping, target)[1]

    def preview_create(self, target: Target) -> Object:
        """Return what the outputs of a new object will be, as far as that can be known.

        Raises:
            OperationError: the object could not be made.
        """
        known = self._known(target)
        if known is None:
            return outputs.echo(target.inputs)
        desired, mapping = known
        live = self._session.client.find(mapping.path(desired))
        if live is not None and not (_is_going(live) or self._memory.is_old(live)):
            owner = objects.annotation(live, objects.OWNER_ANNOTATION)
            if owner != target.urn:
                raise errors.foreign_object(live, owner)
        dry_run = self._dry_run(desired, mapping, target, under_other_name=live is not None)
        return outputs.forecast(dry_run, target.inputs)

    def preview_update(self, target: Target, state: Object, ignored: Sequence[Path]) -> Object:
        """Return what the outputs of a changed object will be.

        Raises:
            OperationError: the change would be refused.
        """
        known = self._known(target)
        if known is None:
            return outputs.echo(target.inputs)
        desired, mapping = known
        live = self._session.client.find(mapping.path(desired))
        if live is None:
            return outputs.echo(target.inputs)
        _require_own(live, target.urn, state)
        desired = without_ignored_changes(desired, live, _as_applied(ignored))
        return outputs.of_live(self._dry_run(desired, mapping, target, under_other_name=False), target.inputs)

    def _known(self, target: Target) -> tuple[Object, Mapping] | None:
        """Return what the API server can be asked about, or None if that is not known before the program has run."""
        if contains_unknown(target.inputs):
            return None
        try:
            return self._desired(target)
        except UnknownKindError:
            return None  # its definition may be part of the same program

    def _desired(self, target: Target) -> tuple[Object, Mapping]:
        desired = objects.to_apply(reveal(target.inputs))
        mapping = self._session.discovery.mapping_of(desired)
        metadata = as_object(desired["metadata"])
        if not mapping.is_namespaced:
            metadata.pop("namespace", None)
        elif not objects.namespace(desired):
            metadata["namespace"] = objects.DEFAULT_NAMESPACE
        return objects.with_annotation(desired, objects.OWNER_ANNOTATION, target.urn), mapping

    def _settled(self, desired: Object, mapping: Mapping, target: Target) -> Object | None:
        """Return the live object of this name, after one that is being deleted has gone."""
        live = self._session.client.find(mapping.path(desired))
        if live is None or not _is_going(live):
            return live
        try:
            self._waiter.until_gone(live, mapping, target.timeout(DELETE_TIMEOUT_SECONDS), target.report)
        except TimeoutError as error:
            raise OperationError(f"{objects.display_name(live)}: an older object of this name {error}") from error
        return None

    def _apply(self, desired: Object, mapping: Mapping, target: Target) -> tuple[str, Object]:
        try:
            live = self._session.client.apply(mapping.path(desired), desired, force=self._forces(target))
        except ApiError as error:
            raise errors.refused(desired, error) from error
        if target.skips_waiting:
            return objects.resource_id(live), outputs.of_live(live, target.inputs)
        try:
            outcome = self._waiter.until_ready(live, mapping, target.timeout(DEFAULT_TIMEOUT_SECONDS), target.report)
        except VanishedError as error:
            raise OperationError(str(error)) from error
        if not outcome.readiness.is_ready:
            raise not_ready(outcome, target.inputs)
        return objects.resource_id(outcome.live), outputs.of_live(outcome.live, target.inputs)

    def _dry_run(self, desired: Object, mapping: Mapping, target: Target, *, under_other_name: bool) -> Object:
        """Return what the API server would make of `desired`.

        An object that will be replaced is in the way of its successor, and a namespace that the same program makes
        does not exist yet: both are asked about under a name that nothing has.
        """
        probe = _with_probe_name(desired) if under_other_name else desired
        try:
            answer = self._session.client.apply(mapping.path(probe), probe, force=self._forces(target), dry_run=True)
        except ApiError as error:
            if not error.is_missing_namespace:
                raise errors.refused(desired, error) from error
            probe = objects.with_metadata(_with_probe_name(desired), namespace=objects.DEFAULT_NAMESPACE)
            try:
                answer = self._session.client.apply(mapping.path(probe), probe, dry_run=True)
            except ApiError as second_error:
                raise errors.refused(desired, second_error) from second_error
        place = {key: value for key in ("name", "namespace") if (value := as_object(desired["metadata"]).get(key))}
        return objects.with_metadata(answer, **place)

    def _forces(self, target: Target) -> bool:
        return self._session.config.force or objects.is_annotated_true(reveal(target.inputs), objects.FORCE_ANNOTATION)


def _is_going(live: Object) -> bool:
    return pluck(live, "metadata", "deletionTimestamp") is not None


def _require_own(live: Object, urn: str, state: Object) -> None:
    owner = objects.annotation(live, objects.OWNER_ANNOTATION)
    if objects.uid(live) != objects.uid(state) and owner != urn:
        raise errors.foreign_object(live, owner)


def _with_probe_name(desired: Object) -> Object:
    return objects.with_metadata(desired, name=f"preview-{secrets.token_hex(8)}")


def _as_applied(ignored: Sequence[Path]) -> list[Path]:
    """Return paths as they are in what is applied, where `stringData` has become `data`."""
    return [("data", *path[1:]) if path[:1] == ("stringData",) else path for path in ignored]
