"""Stores to test: in memory and on a real PostgreSQL, held to the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from ml.events.pool import DatabaseSettings, Pool, open_pool
from ml.events.schema import migrate
from tests.support.postgres import shared_postgres

_T = TypeVar("_T")
OnPostgres = Callable[[Callable[[Pool], Awaitable[Any]]], Any]


@pytest.fixture
def database() -> DatabaseSettings:
    return shared_postgres().new_database()


def run_on(settings: DatabaseSettings, action: Callable[[Pool], Awaitable[_T]]) -> _T:
    """Run a coroutine with a pool on a migrated database."""

    async def main() -> _T:
        async with open_pool(settings, size=4) as pool:
            await migrate(pool)
            return await action(pool)

    return asyncio.run(main())


@pytest.fixture
def on_postgres(database: DatabaseSettings) -> OnPostgres:
    return lambda action: run_on(database, action)
