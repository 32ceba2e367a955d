"""Stores to test: in memory and on a real PostgreSQL, held to the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from ml.events.memory_outcomes import MemoryOutcomeStore
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.pool import DatabaseSettings, Pool, open_pool
from ml.events.schema import migrate
from tests.ml.events.reporting import OnOutcomes, World
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


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.slow)])
def on_outcomes(request: pytest.FixtureRequest) -> OnOutcomes:
    if request.param == "memory":

        async def main(action: Callable[[World], Awaitable[Any]]) -> Any:
            return await action(World(lambda clock: MemoryOutcomeStore(clock)))

        return lambda action: asyncio.run(main(action))
    on_postgres: OnPostgres = request.getfixturevalue("on_postgres")
    return lambda action: on_postgres(lambda pool: action(World(lambda clock: PostgresOutcomeStore(pool, clock))))
