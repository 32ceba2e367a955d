"""Projections and queries on a real PostgreSQL: exactly once, from zero, and the answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ml.events.migrations import STEPS
from ml.events.pool import Pool, connection
from ml.events.ports import StoreUnavailableError
from ml.events.projections import PROJECTIONS
from ml.events.projector import Projector, lag
from ml.events.queries import LARGEST_STRETCH_CHARACTERS, Queries
from ml.events.records import Page
from ml.events.store import PostgresEventStore
from ml.events.types import (
    CommandHandled,
    CommandIssued,
    DecisionMade,
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
from tests.ml.events.lives import created, entered, spec

pytestmark = pytest.mark.slow


def decided(at: float, action: str = "continue") -> DecisionMade:
    decision: dict[str, Any] = {
        "action": action,
        "reasons": [{"code": "running", "message": "no boundary is crossed yet"}],
        "weights": {"stable": 500, "candidate-a": 500},
        "sample_ratio": {"p_value": 0.5},
    }
    return DecisionMade(
        at=at, inputs={}, decision=decision, input_hash="i", previous_hash="p", hash=f"hash-{at}", cursors={}
    )


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
        assert min((await lag(pool)).values()) > 0
        assert await Projector(pool).catch_up() == 2 * (len(LIFE) + len(MODEL_EVENTS) + 1)
        assert set((await lag(pool)).values()) == {0}
        queries = Queries(pool)
        record = await queries.experiment("one")
        assert record is not None
        assert record == await queries.experiment("test-one", "platform")
        assert await queries.experiment("test-one", "elsewhere") is None
        assert (record.phase, record.reason, record.message) == ("Promoted", "PrimaryBetter", "conversion")
        assert (record.created_at, record.started_at, record.ended_at) == (1000.0, 1002.0, 1099.0)
        assert (record.winner, record.weights) == ("candidate-a", {"stable": 500, "candidate-a": 500})
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
            if not any((await lag(pool)).values()):
                break
            await asyncio.sleep(0.05)
        for runner in runners:
            runner.cancel()
        await asyncio.gather(*runners, return_exceptions=True)
        assert set((await lag(pool)).values()) == {0}
        rows = await _everything(pool)
        assert (len(rows["experiments"]), len(rows["decisions"])) == (30, 60)

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
        await asyncio.sleep(0.5)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        assert min((await lag(pool)).values()) > 0

    on_postgres(action)
    assert "type='X'" in caplog.text


async def _many(pool: Pool, total: int) -> None:
    store = PostgresEventStore(pool)
    for number in range(total):
        name = f"{'a_' if number % 3 else 'b%'}{number:03d}"
        fields: dict[str, Any] = {"name": name, "model": f"m{number % 2}", "at": 1000.0 + number // 2}
        events: list[Any] = [created(f"id-{number:03d}", **fields)]
        if number % 5 == 0:
            events.append(entered("Cancelled"))
        await store.append(f"experiment-id-{number:03d}", 0, events)
    await Projector(pool).catch_up()


Wanted = Callable[[int], bool]
FILTERS: list[tuple[dict[str, Any], Wanted]] = [
    ({}, lambda _n: True),
    ({"model": "m1"}, lambda n: n % 2 == 1),
    ({"phase": "Cancelled"}, lambda n: n % 5 == 0),
    ({"active": True}, lambda n: n % 5 != 0),
    ({"active": False, "model": "m0"}, lambda n: n % 10 == 0),
    ({"name_prefix": "a_0"}, lambda n: n % 3 != 0),
    ({"name_prefix": "b%0"}, lambda n: n % 3 == 0),
    ({"name_prefix": "%"}, lambda _n: False),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
def test_pages_give_every_match_once_newest_first_when_followed(
    on_postgres: OnPostgres, filters: dict[str, Any], wanted: Wanted
) -> None:
    total = 40

    async def action(pool: Pool) -> list[str]:
        await _many(pool, total)
        queries, found, cursor = Queries(pool), list[str](), None
        while True:
            page = await queries.list_experiments(**filters, limit=7, cursor=cursor)
            lean = await queries.list_experiments(**filters, limit=7, cursor=cursor, documents=False)
            assert all(record.spec for record in page.items)
            bare = [replace(record, spec={}, specification={}, plan={}) for record in page.items]
            assert lean == Page(bare, page.next_cursor)
            found += [record.id for record in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert on_postgres(action) == [f"id-{n:03d}" for n in reversed(range(total)) if wanted(n)]


def test_bad_arguments_are_refused_by_name_when_listing(on_postgres: OnPostgres) -> None:
    places: list[object] = [[], ["x", 1], [1e999, "a"], {}]
    forged = [base64.urlsafe_b64encode(json.dumps(item).encode()).decode() for item in places]

    async def action(pool: Pool) -> None:
        queries = Queries(pool)
        for cursor in ("no", "é", "====", *forged[:2], forged[3]):
            with pytest.raises(ValueError, match="cursor="):
                await queries.list_experiments(cursor=cursor)
        for limit in (0, 1001):
            with pytest.raises(ValueError, match="limit="):
                await queries.list_experiments(limit=limit)
        with pytest.raises(ValueError, match="points="):
            await queries.timeline("x", points=1)

    on_postgres(action)


def test_active_experiment_is_the_newest_with_weights_when_asked_for(on_postgres: OnPostgres) -> None:
    async def action(pool: Pool) -> None:
        store, queries = PostgresEventStore(pool), Queries(pool)
        begun = EpochStarted(at=3.0, index=0, weights={"stable": 1000, "candidate-a": 0})
        await store.append("experiment-a", 0, [created("a", at=1.0), begun])
        await store.append("experiment-b", 0, [created("b", at=2.0)])
        await store.append("experiment-c", 0, [created("c", at=3.0), begun, entered("Cancelled")])
        await Projector(pool).catch_up()
        record = await queries.active_experiment("content_quality_model")
        assert record is not None
        assert record.id == "a"
        assert await queries.active_experiment("other") is None

    on_postgres(action)


@pytest.mark.parametrize("total", [0, 1, 2, 9, 10, 11, 57])
def test_timeline_has_first_and_newest_and_few_points_when_thinned(on_postgres: OnPostgres, total: int) -> None:
    async def action(pool: Pool) -> list[float]:
        events = [created("a"), *(decided(float(number)) for number in range(total))]
        await PostgresEventStore(pool).append("experiment-a", 0, events)
        await Projector(pool).catch_up()
        return [item.at for item in await Queries(pool).timeline("a", points=10)]

    times = on_postgres(action)
    assert len(times) == min(total, 10)
    assert times == sorted(times)
    assert times[:1] == [0.0][:total]
    assert times[-1:] == [float(total - 1)][:total]


def test_stretch_ends_early_and_says_where_to_go_on_when_its_items_are_large(on_postgres: OnPostgres) -> None:
    total = 250
    words = "x" * (LARGEST_STRETCH_CHARACTERS // 40)

    def large(number: int) -> DecisionMade:
        made = decided(float(number))
        return made.model_copy(update={"decision": {**made.decision, "remark": words}})

    async def action(pool: Pool) -> None:
        events = [created("a"), *(large(number) for number in range(total))]
        await PostgresEventStore(pool).append("experiment-a", 0, events)
        await Projector(pool).catch_up()
        queries = Queries(pool)
        found: list[float] = []
        after: int | None = 1
        while after is not None:
            events_of = await queries.history("a", after)
            decisions = await queries.decision_texts("a", after)
            assert [item.position for item in events_of.items] == [item.position for item in decisions.items]
            assert sum(len(item.text) for item in decisions.items) < 1.1 * LARGEST_STRETCH_CHARACTERS
            assert all(json.loads(item.text)["remark"] == words for item in decisions.items)
            found += [item.at for item in decisions.items]
            after = decisions.next_after
        assert found == [float(number) for number in range(total)]

    on_postgres(action)


def test_primary_evidence_is_there_when_decisions_are_older_than_its_column(database: Any) -> None:
    from ml.events import schema
    from ml.events.pool import open_pool

    evidence = [{"role": "primary", "arm": "a", "estimate": 0.1}, {"role": "guardrail", "arm": "a", "estimate": 1 / 3}]
    made = decided(5.0)
    made = made.model_copy(update={"decision": {**made.decision, "evidence": evidence}})

    async def main() -> None:
        async with open_pool(database) as pool:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(schema, "STEPS", STEPS[:4])
                await schema.migrate(pool)
            await PostgresEventStore(pool).append("experiment-a", 0, [created("a"), made])
            await Projector(pool).catch_up()
            assert await schema.migrate(pool) == len(STEPS) - 4
            await PostgresEventStore(pool).append("experiment-a", 2, [made, decided(6.0)])
            await Projector(pool).catch_up()
            points = await Queries(pool).timeline("a")
            assert [point.evidence for point in points] == [evidence[:1], evidence[:1], []]

    asyncio.run(main())


def test_queries_say_unavailable_when_there_is_no_schema_yet(database: Any) -> None:
    from ml.events.pool import open_pool

    async def main() -> None:
        async with open_pool(database) as pool:
            assert not await Queries(pool).ping()
        gone = database.__class__(**{**database.__dict__, "port": 1})
        async with open_pool(gone, wait_seconds=0.2) as pool:
            with pytest.raises(StoreUnavailableError):
                await Queries(pool).ping()

    asyncio.run(main())
