"""The page's source inside the API: the same questions and commands as REST has."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final, cast

from ml.api.auth import IdentityUnavailableError, Principal, Scope
from ml.api.commands import issue
from ml.api.context import Context
from ml.api.guard import request_digest
from ml.api.page.source import (
    CommandRow,
    DecisionRow,
    ExperimentRow,
    ExperimentRows,
    Filters,
    RefusedError,
    Visitor,
)
from ml.api.problems import ProblemError
from ml.api.rates import Kind
from ml.api.results import results
from ml.events.audit import AuditEntry
from ml.events.decisions import NO_HASH
from ml.events.idempotency import Answered, Fresh
from ml.events.ports import StoreUnavailableError
from ml.events.records import DecisionRecord, ExperimentRecord
from ml.events.types import CommandAction, Phase
from ml.reporting.experiment.results import ExperimentResults

_PAGE_SIZE: Final = 50
_MOST_COMMANDS: Final = 50
_SEE_OTHER: Final = 303
_log = logging.getLogger(__name__)


class PortsSource:
    """Answers from the read models; commands go the way of REST's."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ports = context.ports
        self._namespace = context.settings.namespace

    async def visitor(self, token: str) -> Visitor | None:
        """Return whom a token belongs to."""
        try:
            principal = await self._context.authenticator.authenticate(token)
        except IdentityUnavailableError:
            raise RefusedError(503, "Try again", "The identity provider does not answer.") from None
        if principal is None:
            return None
        self._spend(principal.subject, "reads")
        return Visitor(subject=principal.subject, scopes=frozenset(principal.scopes))

    async def experiments(self, filters: Filters, cursor: str | None) -> ExperimentRows:
        """Return a page of the list, newest first."""
        try:
            page = await self._ports.queries.list_experiments(
                model=filters.model or None,
                phase=cast("Phase", filters.phase) if filters.phase else None,
                name_prefix=filters.name or None,
                limit=_PAGE_SIZE,
                cursor=cursor,
                documents=False,
            )
        except ValueError as error:
            raise RefusedError(400, "No such page of the list", str(error)) from None
        return ExperimentRows(rows=[_row(record) for record in page.items], next_cursor=page.next_cursor)

    async def models(self) -> Sequence[str]:
        """Return the models to filter by."""
        return sorted(await self._ports.platform.slots())

    async def results(self, name: str) -> ExperimentResults | None:
        """Return what is known of an experiment."""
        return await results(self._ports, name, self._namespace)

    async def decisions(self, experiment: str, before: int | None, limit: int) -> Sequence[DecisionRow]:
        """Return decisions before a position, newest first, each with the hash it is chained to."""
        # One more than is shown: the hash before the oldest line.
        found = await self._ports.queries.decisions(experiment, before=before, limit=limit + 1, newest_first=True)
        hashes = [*(record.hash for record in found[1:]), NO_HASH]
        return [_decision(record, previous) for record, previous in zip(found, hashes, strict=False)][:limit]

    async def commands(self, experiment: str) -> Sequence[CommandRow]:
        """Return the newest commands, newest first."""
        found = sorted(await self._ports.queries.audit(experiment), key=lambda record: -record.position)
        return [
            CommandRow(
                at=record.at,
                action=record.action,
                arm=record.arm,
                by=record.by,
                why=record.why,
                source=record.source,
                accepted=record.accepted,
                message=record.message,
            )
            for record in found[:_MOST_COMMANDS]
        ]

    async def issue(
        self, visitor: Visitor, name: str, action: CommandAction, arm: str | None, why: str, once: str
    ) -> None:
        """Ask the controller for something."""
        self._spend(visitor.subject, "writes")
        key, digest = f"page-{once}", hashlib.sha256(f"{name}\n{action}\n{arm}\n{why}".encode()).hexdigest()
        store = self._ports.idempotency
        held = await store.begin(visitor.subject, key, digest)
        if isinstance(held, Answered):
            return
        if not isinstance(held, Fresh):
            raise RefusedError(409, "Sent twice", "This form was sent before, with other words or a moment ago.")
        try:
            command = await self._issue(visitor, name, action, arm, why, key)
        except BaseException:
            with contextlib.suppress(StoreUnavailableError):
                await store.forget(visitor.subject, key)
            raise
        await store.finish(visitor.subject, key, _SEE_OTHER, {}, b"")
        self._context.metrics.commands.labels(action).inc()
        await self._audit(visitor, name, why, {"action": action, "arm": arm, "command": command})

    async def _issue(
        self, visitor: Visitor, name: str, action: CommandAction, arm: str | None, why: str, key: str
    ) -> str:
        principal = Principal(subject=visitor.subject, scopes=cast("frozenset[Scope]", visitor.scopes))
        command_id = request_digest(visitor.subject, key)
        try:
            receipt = await issue(
                self._ports, principal, self._namespace, name, action, why=why, arm=arm, command_id=command_id
            )
        except ProblemError as error:
            raise _refused(error) from None
        return receipt.command

    async def _audit(self, visitor: Visitor, name: str, why: str, details: Mapping[str, str | None]) -> None:
        """Append to the audit; the command itself is recorded, so that a failure here is told to operators only."""
        entry = AuditEntry(
            at=self._ports.clock(),
            request_id="",
            subject=visitor.subject,
            action="command_on_page",
            target=name,
            why=why,
            status=_SEE_OTHER,
            details=dict(details),
        )
        try:
            await self._ports.audit.record(entry)
        except StoreUnavailableError:
            self._context.metrics.audit_failures.inc()
            _log.exception("audit entry lost: %s", entry)

    def _spend(self, client: str, kind: Kind) -> None:
        try:
            self._context.rates.spend(client, kind)
        except ProblemError as error:
            raise _refused(error) from None


def _refused(error: ProblemError) -> RefusedError:
    return RefusedError(error.problem.status, error.problem.title, error.problem.detail)


def _row(record: ExperimentRecord) -> ExperimentRow:
    return ExperimentRow(
        name=record.name,
        model=record.model,
        phase=record.phase,
        message=record.message,
        weights=dict(record.weights),
        created_at=record.created_at,
        ended_at=record.ended_at,
        by=record.by,
    )


def _decision(record: DecisionRecord, previous_hash: str) -> DecisionRow:
    return DecisionRow(
        position=record.position,
        at=record.at,
        action=record.action,
        reasons=[str(reason["message"]) for reason in record.decision["reasons"]],
        weights=dict(record.weights),
        hash=record.hash,
        previous_hash=previous_hash,
    )
