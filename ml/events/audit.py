"""Who wrote what through the API, refused attempts included; append-only like the events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ml.events.decisions import canonical
from ml.events.pool import Pool, connection
from ml.events.types import Document


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One attempt to write."""

    at: float
    request_id: str
    subject: str
    action: str
    target: str
    why: str
    status: int
    """Of the answer."""
    details: Document = field(default_factory=dict[str, Any])
    id: int = 0
    """Given by the database."""


class Audit:
    """The log of attempts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def record(self, entry: AuditEntry) -> None:
        """Append an entry."""
        said = (entry.at, entry.request_id, entry.subject, entry.action, entry.target, entry.why, entry.status)
        query = (
            "INSERT INTO api_audit (at, request_id, subject, action, target, why, status, details) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        )
        async with connection(self._pool) as lent:
            await lent.execute(query, (*said, canonical(entry.details)))

    async def entries(self, target: str | None = None, after: int = 0, limit: int = 100) -> Sequence[AuditEntry]:
        """Return entries after an id, in order."""
        query = """
            SELECT at, request_id, subject, action, target, why, status, details, id FROM api_audit
            WHERE id > %s AND (%s::text IS NULL OR target = %s) ORDER BY id LIMIT %s"""
        names = ("at", "request_id", "subject", "action", "target", "why", "status", "details", "id")
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query, (after, target, target, limit))).fetchall()
        return [AuditEntry(**dict(zip(names, row, strict=True))) for row in rows]
