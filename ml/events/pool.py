"""Connections to PostgreSQL, and one kind of error for all ways in which it can be out of reach."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from ml.contracts import POSTGRES_PORT
from ml.events.ports import StoreUnavailableError

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """Where the event store's database is."""

    host: str
    database: str
    user: str
    password: str = field(repr=False)
    port: int = POSTGRES_PORT

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> DatabaseSettings:
        """Read DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD (or _PASSWORD_FILE).

        Raises:
            ValueError: one is missing or the port is no number; all problems at once.
        """
        given = os.environ if environment is None else environment
        password = given.get("DATABASE_PASSWORD", "")
        if file := given.get("DATABASE_PASSWORD_FILE"):
            password = Path(file).read_text(encoding="utf-8").strip()
        names = ("DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER")
        problems = [f"{name} is not set: allowed is a text that is not empty" for name in names if not given.get(name)]
        if not password:
            problems.append("DATABASE_PASSWORD is not set: allowed is a text that is not empty")
        port = given.get("DATABASE_PORT") or str(POSTGRES_PORT)
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            problems.append(f"DATABASE_PORT={port!r}: allowed are 1 to 65535")
        if problems:
            raise ValueError("; ".join(problems))
        host, database, user = (given[name] for name in names)
        return cls(host=host, port=int(port), database=database, user=user, password=password)


@asynccontextmanager
async def open_pool(
    settings: DatabaseSettings, *, size: int = 8, wait_seconds: float = 5.0, statement_seconds: float = 30.0
) -> AsyncGenerator[Pool]:
    """Yield a pool of connections in autocommit mode.

    The database need not be there yet: the pool keeps trying in the background, and whoever asks for a connection
    meanwhile gets `StoreUnavailableError` after `wait_seconds`.
    """
    conninfo = make_conninfo(
        host=settings.host,
        port=settings.port,
        dbname=settings.database,
        user=settings.user,
        password=settings.password,
        connect_timeout=max(2, int(wait_seconds)),
        application_name="ml-events",
        options=f"-c statement_timeout={int(statement_seconds * 1000)}",
        # A server that vanished without a word is noticed within this time, not after hours.
        tcp_user_timeout=10_000,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=2,
    )
    pool: Pool = AsyncConnectionPool(
        conninfo,
        connection_class=psycopg.AsyncConnection[tuple[Any, ...]],
        min_size=1,
        max_size=size,
        timeout=wait_seconds,
        # Keep trying for as long as the process lives; the pool would give up after five minutes.
        reconnect_timeout=10.0,
        kwargs={"autocommit": True},
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def connection(pool: Pool) -> AsyncGenerator[Connection]:
    """Lend a connection.

    Raises:
        StoreUnavailableError: there is none, or it broke while in use; also for a statement that took too long.
        CancelledError: the task was cancelled, also where the pool did not pass that on.
    """
    try:
        async with pool.connection() as lent:
            _heed_cancellation()
            yield lent
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        _heed_cancellation()
        raise StoreUnavailableError(f"event store: {type(error).__name__}: {str(error).strip()[:300]}") from error


def _heed_cancellation() -> None:
    """Raise what a task that is being cancelled should have got already.

    The pool waits with `asyncio.wait_for`, which before Python 3.12 returns as if nothing had happened when the
    connection is handed over in the moment of the cancellation (python/cpython#86296); and an error that a cancelled
    statement leaves behind can take the cancellation's place. A loop that tries again would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
