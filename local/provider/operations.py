"""Makes, changes, reads and deletes one object: the verbs of the provider without the engine's protocol."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from local.provider import errors, objects, outputs
from local.provider.discovery import Mapping, UnknownKindError
from local.provider.errors import NotReadyError, OperationError
from local.provider.ignoring import without_ignored_changes
from local.provider.kubeclient import ApiError
from local.provider.memory import RunMemory
from local.provider.paths import Path
from local.provider.readiness import DEFAULT_TIMEOUT_SECONDS
from local.provider.session import Session
from local.provider.values import Object, as_object, contains_unknown, reveal
from local.provider.waiting import Outcome, VanishedError, Waiter

Report = Callable[[str], None]
"""Takes one line about what an operation waits for."""

DELETE_TIMEOUT_SECONDS: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """The resource that an operation is about."""

    urn: str
    inputs: Object
    """As the engine sent them: with secrets marked, in previews with unknowns."""
    timeout_seconds: float
    """From the resource's options; 0 where none is set."""
    report: Report

    def timeout(self, default_seconds: float) -> float:
        """Return the longest wait: the option, else the annotation, else the default."""
        if self.timeout_seconds > 0:
            return self.timeout_seconds
        return annotated_timeout(reveal(self.inputs)) or default_seconds

    @property
    def skips_waiting(self) -> bool:
        """The program does not want to wait until the object is ready."""
        return objects.is_annotated_true(reveal(self.inputs), objects.SKIP_AWAIT_ANNOTATION)


def annotated_timeout(inputs: Object) -> float | None:
    """Return the seconds that the time-out annotation gives, or None.

    Raises:
        ValueError: the annotation is not a positive number.
    """
    text = objects.annotation(inputs, objects.TIMEOUT_ANNOTATION)
    if text is None:
        return None
    seconds = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if seconds <= 0:
        raise ValueError(f"annotation {objects.TIMEOUT_ANNOTATION}={text!r}: allowed is a number of seconds above 0")
    return seconds


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
        try:
            if contains_unknown(target.inputs):
                return outputs.echo(target.inputs)
            desired, mapping = self._desired(target)
        except UnknownKindError:
            return outputs.echo(target.inputs)  # its definition may be part of the same program
        live = self._session.client.find(mapping.path(desired))
        owner = objects.annotation(live, objects.OWNER_ANNOTATION) if live is not None else None
        if live is not None and owner != target.urn and not self._memory.is_old(live):
            raise errors.foreign_object(live, owner)
        dry_run = self._dry_run(desired, mapping, target, under_other_name=live is not None)
        return outputs.forecast(dry_run, target.inputs)

    def preview_update(self, target: Target, state: Object, ignored: Sequence[Path]) -> Object:
        """Return what the outputs of a changed object will be.

        Raises:
            OperationError: the change would be refused.
        """
        try:
            if contains_unknown(target.inputs):
                return outputs.echo(target.inputs)
            desired, mapping = self._desired(target)
        except UnknownKindError:
            return outputs.echo(target.inputs)
        live = self._session.client.find(mapping.path(desired))
        if live is None:
            return outputs.echo(target.inputs)
        _require_own(live, target.urn, state)
        desired = without_ignored_changes(desired, live, _as_applied(ignored))
        return outputs.of_live(self._dry_run(desired, mapping, target, under_other_name=False), target.inputs)

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
        if live is None or as_object(live["metadata"]).get("deletionTimestamp") is None:
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


def not_ready(outcome: Outcome, inputs: Object) -> NotReadyError:
    """Return the error that puts an object into the state together with what is wrong with it."""
    live = outcome.live
    reason = f"{objects.display_name(live)}: {outcome.readiness.message}"
    resource_id = objects.resource_id(live)
    return NotReadyError(resource_id, outputs.of_live(live, inputs), inputs, [reason, *outcome.findings])


def _require_own(live: Object, urn: str, state: Object) -> None:
    owner = objects.annotation(live, objects.OWNER_ANNOTATION)
    if objects.uid(live) != objects.uid(state) and owner != urn:
        raise errors.foreign_object(live, owner)


def _with_probe_name(desired: Object) -> Object:
    return objects.with_metadata(desired, name=f"preview-{secrets.token_hex(8)}")


def _as_applied(ignored: Sequence[Path]) -> list[Path]:
    """Return paths as they are in what is applied, where `stringData` has become `data`."""
    return [("data", *path[1:]) if path[:1] == ("stringData",) else path for path in ignored]
