"""Projections on a real PostgreSQL: what they say of a stream, exactly once, and again from zero."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ml.events.pool import Pool, connection
from ml.events.projections import PROJECTIONS
from ml.events.projector import Projector
from ml.events.queries import Queries
from ml.events.store import PostgresEventStore
from ml.events.types import (
    CommandHandled,
    CommandIssued,
    EpochStarted,
    ExperimentRefused,
    ModelDeployed,
    ModelPromoted,
    ModelRegistered,
    PhaseEntered,
    PipelineRan,
    SequenceStarted,
    StepDone,
)
from ml.events.upcasting import from_text
from tests.ml.events.conftest import OnPostgres
from tests.ml.events.lives import created, decided, entered, spec

pytestmark = pytest.mark.slow


def command(name: str, at: float) -> CommandIssued:
    return CommandIssued(at=at, command=name, action="promote", arm="candidate-a", by="ann", why="enough", source="api")


LIFE: list[Any] = [
    created("one", at=1000.0),
    entered("Ramping", 1001.0),
    EpochStarted(at=1002.0, index=0, weights={"stable": 900, "candidate-a": 100}),
    EpochStarted(at=1060.0, index=1, weights={"stable": 500, "candidate-a": 500}),
    entered("Running", 1061.0),
    decided(1062.0),
    decided(1092.0, "promote"),
    command("c1", 1093.0),
    command("c1", 1093.5),
    CommandHandled(at=1094.0, command="c1", accepted=True, message="done"),
    command("c2", 1094.5),
    SequenceStarted(at=1095.0, sequence="promote", arm="candidate-a", outcome="Promoted"),
    StepDone(at=1096.0, step="all weight to the winner"),
    PhaseEntered(at=1099.0, phase="Promoted", reason="PrimaryBetter", message="conversion"),
]
MODEL_EVENTS: list[Any] = [
    ModelRegistered(at=1.0, model="m", model_version=1, run="r1", metrics={"accuracy": 0.9}),
    ModelRegistered(at=2.0, model="m", model_version=2, run="r2"),
    ModelDeployed(at=3.0, model="m", slot="stable", model_version=1),
    ModelDeployed(at=4.0, model="m", slot="stable", model_version=2),
    ModelPromoted(at=5.0, model="m", model_version=2, previous_version=1, experiment="one", by="controller"),
]
PIPELINE = PipelineRan(at=6.0, pipeline="train", run="p1", succeeded=True, details={"seconds": 4.5})


async def _fill(pool: Pool) -> None:
    store = PostgresEventStore(pool)
    await store.append("experiment-one", 0, LIFE)
    await store.append("model-m", 0, MODEL_EVENTS)
    await store.append("pipeline-train", 0, [PIPELINE])


async def _everything(pool: Pool) -> dict[str, list[Any]]:
    async with connection(pool) as lent:
        return {
            table: await (await lent.execute(f"SELECT to_json(t)::text FROM {table} t ORDER BY 1")).fetchall()  # noqa: S608 - our own names
            for projection in PROJECTIONS.values()
            for table in projection.tables
        }


def test_record_is_what_the_events_say_when_projected(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        await _fill(pool)
        assert min((await Queries(pool).lag()).values()) > 0
        assert await Projector(pool).catch_up() == 2 * (len(LIFE) + len(MODEL_EVENTS) + 1)
        assert set((await Queries(pool).lag()).values()) == {0}
        queries = Queries(pool)
        record = await queries.experiment("one")
        assert record is not None
        assert record == await queries.experiment("test-one", "platform")
        assert await queries.experiment("test-one", "elsewhere") is None
        assert (record.phase, record.reason, record.message) == ("Promoted", "PrimaryBetter", "conversion")
        assert (record.created_at, record.started_at, record.ended_at) == (1000.0, 1002.0, 1099.0)
        assert (record.winner, record.weights) == ("candidate-a", {"stable": 1000, "candidate-a": 0})
        assert (record.position, record.salt_index, record.by) == (len(LIFE), 3, "ann")
        assert record.spec == spec()
        assert record.last_decision is not None
        assert (record.last_decision.action, record.last_decision.position) == ("promote", 7)
        assert record.last_decision.decision == LIFE[6].decision
        decisions = await queries.decisions("one")
        assert [(item.position, item.hash, item.reasons) for item in decisions] == [
            (6, "hash-1062.0", ["running"]),
            (7, "hash-1092.0", ["running"]),
        ]
        assert [d.position for d in await queries.decisions("one", after=6)] == [7]
        assert [d.position for d in await queries.decisions("one", before=7, newest_first=True)] == [6]
        assert [d.position for d in await queries.decisions("one", newest_first=True, limit=1)] == [7]
        assert [(epoch.index, epoch.at) for epoch in await queries.epochs("one")] == [(0, 1002.0), (1, 1060.0)]
        commands = await queries.audit("one")
        assert [(item.command, item.accepted, item.message) for item in commands] == [
            ("c1", True, "done"),
            ("c2", None, ""),
        ]
        assert commands[0].at == 1093.0, "the same id twice is the same command"
        told = await queries.history("one", after=2, limit=3)
        assert [(item.position, from_text(item.text)) for item in told.items] == list(enumerate(LIFE[2:5], 3))
        assert told.next_after == 5
        assert (await queries.history("one", after=2)).next_after is None
        assert [item.hash for item in (await queries.decision_texts("one")).items] == ["hash-1062.0", "hash-1092.0"]
        assert await queries.ping()

    on_postgres(action)


def test_models_and_pipelines_are_told_when_projected(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        await _fill(pool)
        await Projector(pool).catch_up()
        queries = Queries(pool)
        (model,) = await queries.models()
        assert model == await queries.model("m")
        assert (model.name, model.champion) == ("m", 2)
        assert [(v.model_version, v.run, v.metrics) for v in model.versions] == [
            (2, "r2", {}),
            (1, "r1", {"accuracy": 0.9}),
        ]
        assert [(slot.slot, slot.model_version) for slot in model.slots] == [("stable", 2)]
        (run,) = await queries.pipelines()
        assert (run.pipeline, run.run, run.succeeded, run.details) == ("train", "p1", True, {"seconds": 4.5})
        assert await queries.model("other") is None

    on_postgres(action)


def test_refused_experiment_is_listed_with_its_problems_and_can_be_admitted_later(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store, queries, projector = PostgresEventStore(pool), Queries(pool), Projector(pool)
        head: dict[str, Any] = {
            "experiment": "two",
            "name": "two",
            "namespace": "n",
            "model": "m",
            "spec": spec(),
            "by": "bob",
        }
        refused = ExperimentRefused(at=5.0, problems=("durationSeconds=60: allowed is 90000",), **head)
        await store.append("experiment-two", 0, [refused])
        await projector.catch_up()
        record = await queries.experiment("two")
        assert record is not None
        assert (record.phase, record.reason, record.problems) == ("Invalid", "NotAdmitted", list(refused.problems))
        assert await store.unfinished() == []
        await store.append("experiment-two", 1, [created("two", name="two"), entered("Pending")])
        await projector.catch_up()
        record = await queries.experiment("two")
        assert record is not None
        assert (record.phase, record.problems, record.ended_at) == ("Pending", [], None)
        assert await store.unfinished() == ["two"]

    on_postgres(action)


def test_rows_are_the_same_when_rebuilt_from_zero(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        await _fill(pool)
        projector = Projector(pool)
        await projector.catch_up()
        before = await _everything(pool)
        async with connection(pool) as lent:
            await lent.execute("UPDATE experiments SET phase = 'Cancelled'; DELETE FROM decisions")
        for name in PROJECTIONS:
            assert await projector.rebuild(name) == len(LIFE) + len(MODEL_EVENTS) + 1
        assert await _everything(pool) == before
        assert await projector.catch_up() == 0
        with pytest.raises(ValueError, match="projection='other': allowed are"):
            await projector.rebuild("other")

    on_postgres(action)


def test_each_event_is_applied_once_when_several_projectors_run_and_one_dies(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store = PostgresEventStore(pool)
        runners = [asyncio.create_task(Projector(pool, poll_seconds=0.05).run()) for _ in range(2)]
        for number in range(30):
            await store.append(f"experiment-{number}", 0, [created(str(number)), decided(1.0), decided(2.0)])
            if number == 10:
                runners[0].cancel()
        for _ in range(200):
            if not any((await Queries(pool).lag()).values()):
                break
            await asyncio.sleep(0.05)
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)
        assert set((await Queries(pool).lag()).values()) == {0}
        rows = await _everything(pool)
        assert (len(rows["experiments"]), len(rows["decisions"])) == (30, 60)

    on_postgres(action)


def test_events_are_projected_when_they_hold_characters_that_no_column_can(on_postgres: OnPostgres) -> None:
    said = "a\0b \ud800 \U0001f600 \\u0000"
    kept = "a\ufffdb \ufffd \U0001f600 \\u0000"
    decision = decided(3.0)
    events: list[Any] = [
        created("one", plan={"note": said}),
        PhaseEntered(at=2.0, phase="Running", reason="r", message=said),
        decision.model_copy(update={"decision": {**decision.decision, "evidence": [{"role": "primary", "m": said}]}}),
        command("c", 4.0).model_copy(update={"why": said}),
    ]

    async def action(pool: Pool) -> None:
        store, queries = PostgresEventStore(pool), Queries(pool)
        await store.append("experiment-one", 0, events)
        await store.append("model-m", 0, [ModelRegistered(at=1.0, model="m", model_version=1, run=said)])
        for _ in range(2):
            await Projector(pool).catch_up()
            assert set((await Queries(pool).lag()).values()) == {0}
            (asked,) = await queries.audit("one")
            assert asked.why == kept
            record = await queries.experiment("one")
            assert record is not None
            assert (record.message, record.plan) == (kept, {"note": kept})
            assert (await queries.timeline("one", points=2))[0].evidence == [{"role": "primary", "m": kept}]
            model = await queries.model("m")
            assert model is not None
            assert [version.run for version in model.versions] == [kept]
            for name in PROJECTIONS:
                await Projector(pool).rebuild(name)
        assert [stored.event for stored in await store.read("experiment-one")] == events, "the log is as it was"
        assert await store.unfinished() == ["one"]
        await store.append("experiment-one", len(events), [PhaseEntered(at=5.0, phase="Promoted", reason=said)])
        assert await store.unfinished() == []

    on_postgres(action)


def test_projection_goes_on_when_the_database_takes_an_event_that_it_refused(
    on_postgres: OnPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    async def action(pool: Pool) -> None:
        store = PostgresEventStore(pool)
        await store.append("model-m", 0, [ModelRegistered(at=1.0, model="m", model_version=2**40, run="r")])
        runner = asyncio.create_task(Projector(pool, poll_seconds=0.05).run())
        async with asyncio.timeout(30):
            while "out of range" not in caplog.text:
                await asyncio.sleep(0.05)
            assert not runner.done()
            async with connection(pool) as lent:
                await lent.execute("ALTER TABLE model_versions ALTER COLUMN model_version TYPE bigint")
            while any((await Queries(pool).lag()).values()):
                await asyncio.sleep(0.05)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)

    on_postgres(action)


def test_projection_stops_and_says_so_when_an_event_cannot_be_read(
    on_postgres: OnPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    async def action(pool: Pool) -> None:
        store = PostgresEventStore(pool)
        await store.append("experiment-a", 0, [created("a")])
        async with connection(pool) as lent:
            await lent.execute("SELECT append_events('experiment-a', 1, ARRAY['X'], ARRAY['{\"type\": \"X\"}'])")
        runner = asyncio.create_task(Projector(pool, poll_seconds=0.05).run())
        async with asyncio.timeout(30):
            while "type='X'" not in caplog.text:
                await asyncio.sleep(0.05)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        assert min((await Queries(pool).lag()).values()) > 0

    on_postgres(action)
    assert "type='X'" in caplog.text
