"""The controller killed at every boundary between two calls, and PostgreSQL itself crashing, with the real event store.

As in `test_crash_safety`, but the streams are on a PostgreSQL server of these tests' own: transactions, locks, lost
connections and recovery are real. Between two calls the controller changes nothing, so to die after the one is to die
before the other: each boundary is met once.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

from ml.events.pool import DatabaseSettings, Pool, open_pool
from ml.events.ports import StoreUnavailableError
from ml.events.schema import migrate, schema_step
from ml.events.store import PostgresEventStore
from tests.ml.controller.core.simulated_ports import Killed
from tests.ml.controller.core.test_endings import check_record
from tests.ml.controller.core.world import Wait, World, two_arms
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.slow

Scenario = Literal["promotion", "rollback"]
CANDIDATES: dict[Scenario, dict[str, Any]] = {"promotion": {"converts": 0.75}, "rollback": {"fails": 0.3}}
PHASES: dict[Scenario, str] = {"promotion": "Promoted", "rollback": "RolledBack"}
QUICK = {"baseline": 0.5, "minimumEffect": 0.1, "name": "converted"}
AWAY_SECONDS = 10
PATIENCE_SECONDS = 30.0
PATIENCE_WHILE_AWAY_SECONDS = 0.1
"""How long a connection is waited for; nobody has to wait for a server that is known to be down."""
APPEND_LOCK = 7310461
"""Which `append_events` takes (`ml.events.migrations`): who holds it keeps an append in the middle."""
WAITING_APPENDS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"


@dataclass(frozen=True)
class Database:
    """A server and the event store on it, in one event loop."""

    server: PostgresServer
    name: str
    wait: Wait
    pool: Pool

    def world(self, scenario: Scenario, name: str) -> World:
        """Return a world whose events are here; experiments of other worlds in it have other names."""
        world = two_arms(store=PostgresEventStore(self.pool), wait=self.wait, **CANDIDATES[scenario])
        world.create(name, primary=QUICK, reconcileIntervalSeconds=10)
        return world

    def restart(self) -> None:
        """Start the server again, and wait until the pool has noticed."""
        self.server.start()
        self.pool.timeout = PATIENCE_SECONDS
        for _ in range(10):
            try:
                self.wait(schema_step(self.pool))
            except StoreUnavailableError:
                continue
            return
        raise AssertionError("the pool does not find the server again")

    def is_going_down(self) -> None:
        """Let nobody wait long for a connection until `restart`."""
        self.pool.timeout = PATIENCE_WHILE_AWAY_SECONDS


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        yield from _on_own_server(PostgresServer(Path(folder)))


def _on_own_server(server: PostgresServer) -> Iterator[Database]:
    server.initialise()
    server.start()
    settings = server.new_database()
    asyncio.run(_migrated(settings))
    with asyncio.Runner() as runner:
        lent = open_pool(settings, wait_seconds=PATIENCE_SECONDS)
        pool = runner.run(_entered(lent))
        try:
            # The loop's own: `runner.run` sets and unsets what Ctrl-C does, every time.
            yield Database(server, settings.database, runner.get_loop().run_until_complete, pool)
        finally:
            runner.run(lent.__aexit__(None, None, None))
            server.stop()


async def _migrated(settings: DatabaseSettings) -> None:
    async with open_pool(settings) as pool:
        await migrate(pool)


async def _entered(lent: Any) -> Pool:
    pool: Pool = await lent.__aenter__()
    await pool.wait()
    return pool


def check_end(world: World, scenario: Scenario, name: str) -> None:
    """The one right end was reached, once."""
    state = world.run_to_end(name)
    assert state.phase == PHASES[scenario], (state.phase, state.reason, state.message)
    promoted = scenario == "promotion"
    assert world.champion_moves == ([5] if promoted else [])
    assert world.aliases == {"champion": 5 if promoted else 4}
    recorded = [item.model_version for item in world.promotions() if item.experiment == f"uid-{name}"]
    assert recorded == ([5] if promoted else [])
    assert dict(world.in_force.weights) == dict(world.written.weights) == {"stable": 1000, "candidate-a": 0}
    assert world.closed
    assert len([phase for phase in world.phases(name) if phase == PHASES[scenario]]) == 1
    check_record(world, name)


def nth(wanted: Callable[[str, str, str], bool], number: int, action: Callable[[], None]) -> Any:
    """Return a gate that does something at one of the calls that are wanted."""
    seen = 0

    def gate(port: str, method: str, when: Literal["before", "after"]) -> None:
        nonlocal seen
        if wanted(port, method, when):
            seen += 1
            if seen == number:
                action()

    return gate


def die() -> None:
    """End the controller."""
    raise Killed


@pytest.mark.parametrize("scenario", list(CANDIDATES))
def test_same_end_is_reached_when_the_controller_is_killed_at_any_boundary(
    database: Database, scenario: Scenario
) -> None:
    world = database.world(scenario, f"whole-{scenario}")
    check_end(world, scenario, f"whole-{scenario}")
    total = world.calls
    assert total > 50
    for number in range(1, total + 1):
        name = f"killed-{scenario}-{number}"
        world = database.world(scenario, name)
        world.gate = nth(lambda _port, _method, when: when == "after", number, die)
        try:
            check_end(world, scenario, name)
        except AssertionError as error:
            raise AssertionError(f"call {number} of {total}: {error}") from error


def appends_of(database: Database, scenario: Scenario, name: str) -> int:
    """Return how many appends an undisturbed experiment needs."""
    world, count = database.world(scenario, name), 0

    def gate(port: str, method: str, when: str) -> None:
        nonlocal count
        count += (port, method, when) == ("events", "append", "before")

    world.gate = gate
    world.run_to_end(name)
    return count


@pytest.mark.parametrize("moment", ["after an append", "during an append"])
@pytest.mark.parametrize("scenario", list(CANDIDATES))
def test_same_end_is_reached_when_postgres_crashes_and_comes_back(
    database: Database, scenario: Scenario, moment: str
) -> None:
    slug = moment.replace(" ", "-")
    total = appends_of(database, scenario, f"counted-{scenario}-{slug}")
    for number in range(1, total + 1, 6):
        name = f"crash-{scenario}-{slug}-{number}"
        world = database.world(scenario, name)
        crash = Crash(database, world)
        when = "after" if moment == "after an append" else "before"
        world.gate = nth(
            lambda port, method, now, when=when: (port, method, now) == ("events", "append", when),
            number,
            crash.now if when == "after" else crash.soon,
        )
        try:
            world.run(600, until=lambda crash=crash: crash.is_down)
            assert crash.is_down
            world.run(AWAY_SECONDS)
            crash.is_over()
            check_end(world, scenario, name)
        except AssertionError as error:
            raise AssertionError(f"append {number} of {total}: {error}") from error


class Crash:
    """PostgreSQL going down in the middle of everything."""

    def __init__(self, database: Database, world: World) -> None:
        self._database = database
        self._world = world
        self._holder: psycopg.Connection[tuple[object, ...]] | None = None
        self._stopping: threading.Thread | None = None
        self._had_begun = True
        self.is_down = False

    def now(self) -> None:
        """Crash between the commit and the controller's hearing of it."""
        self._database.is_going_down()
        self._database.server.stop()
        self.is_down = True
        raise StoreUnavailableError("the answer is lost with the server")

    def soon(self) -> None:
        """Crash while the append that follows waits for its lock: it is begun and never committed."""
        self._holder = self._database.server.connect(self._database.name)
        self._holder.execute("SELECT pg_advisory_lock(%s)", (APPEND_LOCK,))
        self._database.is_going_down()
        self._stopping = threading.Thread(target=self._stop_during_the_append, args=(self._holder,))
        self._stopping.start()
        self.is_down = True

    def is_over(self) -> None:
        """The server comes back with what was committed."""
        if self._stopping is not None:
            self._stopping.join()
        if self._holder is not None:
            self._holder.close()
        self._database.restart()
        assert self._had_begun, "the append did not come to its lock"

    def _stop_during_the_append(self, holder: psycopg.Connection[tuple[object, ...]]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while holder.execute(WAITING_APPENDS, (APPEND_LOCK,)).fetchone() == (0,):
                self._had_begun = time.monotonic() < deadline
                if not self._had_begun:
                    return
                time.sleep(0.01)
        finally:
            self._database.server.stop()
