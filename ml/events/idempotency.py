"""Remembers the answers to requests that carry an idempotency key, so that a repeated request gets the first answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ml.events.pool import Pool, connection

_ABANDONED_SECONDS: Final = 60.0
"""A request that has not been answered after this long was interrupted; the key may be used again."""


@dataclass(frozen=True)
class Fresh:
    """Nobody used the key: it is now taken, and the answer is to be given by `finish`, or the key back by `forget`."""


@dataclass(frozen=True)
class InProgress:
    """The first request with this key is still being answered."""


@dataclass(frozen=True)
class Mismatch:
    """The key was used for another request."""


@dataclass(frozen=True)
class Answered:
    """The first answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Idempotency:
    """Keys within scopes; a scope is a subject and what it asks for."""

    def __init__(self, pool: Pool, ttl_seconds: float = 86_400.0) -> None:
        self._pool = pool
        self._ttl_seconds = ttl_seconds

    async def begin(self, scope: str, key: str, request_hash: str) -> Fresh | InProgress | Mismatch | Answered:
        """Take a key for a request, or say what is known of it."""
        async with connection(self._pool) as lent, lent.transaction():
            await lent.execute(
                "DELETE FROM idempotency_keys WHERE begun_at < now() - make_interval(secs => %s) "
                "OR (scope = %s AND key = %s AND status IS NULL AND begun_at < now() - make_interval(secs => %s))",
                (self._ttl_seconds, scope, key, _ABANDONED_SECONDS),
            )
            query = (
                "INSERT INTO idempotency_keys AS k (scope, key, request_hash) VALUES (%s, %s, %s) "
                # Changes nothing, but returns the row that was there before.
                "ON CONFLICT (scope, key) DO UPDATE SET key = k.key "
                "RETURNING old.request_hash, old.status, old.headers, old.body"
            )
            row = await (await lent.execute(query, (scope, key, request_hash))).fetchone()
        if row is None or row[0] is None:
            return Fresh()
        known_hash, status, headers, body = row
        if known_hash != request_hash:
            return Mismatch()
        return InProgress() if status is None else Answered(status, headers, bytes(body))

    async def finish(self, scope: str, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Remember the answer."""
        query = "UPDATE idempotency_keys SET status = %s, headers = %s, body = %s WHERE scope = %s AND key = %s"
        async with connection(self._pool) as lent:
            await lent.execute(query, (status, json.dumps(dict(headers)), body, scope, key))

    async def forget(self, scope: str, key: str) -> None:
        """Give a key back that was not answered, so that the request can be made again."""
        query = "DELETE FROM idempotency_keys WHERE scope = %s AND key = %s AND status IS NULL"
        async with connection(self._pool) as lent:
            await lent.execute(query, (scope, key))
