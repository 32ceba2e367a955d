"""Outcomes on PostgreSQL: kept as reported, and summed in the same transaction.

One batch of one model is counted at a time (an advisory lock per model), so the rules of `ml.events.counting` see a
consistent picture and no sum is ever changed twice for one outcome. Reading the sums costs a few rows per experiment,
however many outcomes are stored.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, LiteralString

from ml.contracts.abtest import AbTestSpec
from ml.events.batches import Counted, UnitKey, count_batch, in_order, sift, unit_keys
from ml.events.counting import CountedEpoch, CountedExperiment, IngestResult, Outcome, SumKey, Unit, joined
from ml.events.memory_outcomes import assemble
from ml.events.partitions import RETENTION_SECONDS, Partitions
from ml.events.pool import Connection, Pool, connection
from ml.events.ports import OutcomeSums, UnitsSeen

_LOCK_CLASS: Final = 7310462
_JOIN_SECONDS: Final = 30 * 86_400
"""How far back an outcome that only names a request is looked for."""
_COPY: Final = "COPY outcomes (model, id, at, metric, value, user_id, request_id, slot) FROM STDIN"
_UPSERT_UNIT: Final = """
INSERT INTO counted_units (number, unit, epoch, arm, first_at, censored_at, amounts)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (number, unit) DO UPDATE SET censored_at = excluded.censored_at, amounts = excluded.amounts"""
_ADD_UNITS: Final = """
INSERT INTO counted_arms AS old (number, epoch, arm, units) VALUES (%s, %s, %s, %s)
ON CONFLICT (number, epoch, arm) DO UPDATE SET units = old.units + excluded.units"""
_ADD_SUMS: Final = """
INSERT INTO counted_sums AS old VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (number, epoch, arm, metric) DO UPDATE SET
    n = old.n + excluded.n,
    numerator = old.numerator + excluded.numerator,
    denominator = old.denominator + excluded.denominator,
    numerator_squares = old.numerator_squares + excluded.numerator_squares,
    denominator_squares = old.denominator_squares + excluded.denominator_squares,
    products = old.products + excluded.products"""

_NEWEST: Final = "UPDATE counted_experiments SET newest_at = greatest(newest_at, %s) WHERE number = %s"


class PostgresOutcomeStore:
    """The outcome store; see `ml.events.ports.OutcomeStore` for what the controller needs of it."""

    def __init__(
        self, pool: Pool, clock: Callable[[], float] = time.time, retention_seconds: float = RETENTION_SECONDS
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._retention_seconds = retention_seconds
        self._partitions = Partitions(pool)

    async def open_experiment(
        self, experiment: str, model: str, spec: Mapping[str, object], salt: str, started_at: float
    ) -> None:
        """Count outcomes of this model for the experiment from now on. Idempotent."""
        AbTestSpec.model_validate(spec)
        query = (
            "INSERT INTO counted_experiments (id, model, spec, salt, started_at) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT (id) DO NOTHING"
        )
        async with connection(self._pool) as lent:
            await lent.execute(query, (experiment, model, json.dumps(spec), salt, started_at))

    async def start_epoch(self, experiment: str, index: int, weights: Mapping[str, int], started_at: float) -> None:
        """From this moment new units belong to this epoch. Idempotent."""
        async with connection(self._pool) as lent, lent.transaction():
            query = "SELECT number, model FROM counted_experiments WHERE id = %s"
            row = await (await lent.execute(query, (experiment,))).fetchone()
            if row is None:
                raise ValueError(f"experiment={experiment!r}: allowed are those that `open_experiment` was called for")
            await _lock(lent, [row[1]])
            await lent.execute(
                "INSERT INTO counted_epochs VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (row[0], index, json.dumps(list(weights.items())), started_at),
            )

    async def close_experiment(self, experiment: str, ended_at: float) -> None:
        """Count no more new units. Idempotent."""
        query = "UPDATE counted_experiments SET ended_at = %s WHERE id = %s AND ended_at IS NULL"
        async with connection(self._pool) as lent:
            await lent.execute(query, (ended_at, experiment))

    async def ingest(self, outcomes: Sequence[Outcome]) -> Sequence[IngestResult]:
        """Take outcomes in, all of those that are sound or none, and answer each in the order given.

        Raises:
            StoreUnavailableError: no answer; reporting the same outcomes again is safe, their ids are remembered.
        """
        now = self._clock()
        sound, _ = sift(outcomes, now, now - self._retention_seconds, lambda _model, _id: False)
        if sound:
            await self._partitions.ensure(outcome.at for outcome in sound)
        async with connection(self._pool) as lent, lent.transaction():
            await _lock(lent, sorted({outcome.model for outcome in sound}))
            known = await _known_ids(lent, sound)
            keep, answers = sift(
                outcomes, now, now - self._retention_seconds, lambda model, name: (model, name) in known
            )
            experiments = await _experiments(lent, sorted({outcome.model for outcome in keep}), now)
            filled = joined(keep, await _requests(lent, keep, now)) if experiments else keep
            units = await _units(lent, experiments, filled)
            counted = count_batch(experiments.values(), units, filled, now)
            await _keep(lent, keep)
            await _save(lent, experiments, counted)
        return in_order(len(outcomes), answers, counted.results)

    async def sums(self, experiments: Sequence[str]) -> Mapping[str, OutcomeSums]:
        """Return the sums of several experiments in one question each for epochs, units and sums."""
        names = list(experiments)
        async with connection(self._pool) as lent, lent.transaction():
            # One snapshot, so that units and sums fit together.
            await lent.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            heads = await _rows(lent, "SELECT number, id, newest_at FROM counted_experiments WHERE id = ANY(%s)", names)
            numbers = [number for number, _, _ in heads]
            epochs = await _rows(lent, "SELECT number, index FROM counted_epochs WHERE number = ANY(%s)", numbers)
            arms = await _rows(lent, "SELECT * FROM counted_arms WHERE number = ANY(%s)", numbers)
            sums = await _rows(lent, "SELECT * FROM counted_sums WHERE number = ANY(%s)", numbers)
        indices: defaultdict[int, list[int]] = defaultdict(list)
        units: defaultdict[int, dict[tuple[int, str], int]] = defaultdict(dict)
        rows: defaultdict[int, dict[SumKey, Sequence[Decimal]]] = defaultdict(dict)
        for number, index in epochs:
            indices[number].append(index)
        for number, epoch, arm, count in arms:
            units[number][epoch, arm] = count
        for number, epoch, arm, metric, *amounts in sums:
            rows[number][epoch, arm, metric] = amounts
        return {
            name: assemble(sorted(indices[number]), units[number], rows[number], newest_at)
            for number, name, newest_at in heads
        }

    async def seen(self, model: str, *, by_user: bool, since: float) -> UnitsSeen:
        """Return the units that the outcomes of a model name since a moment, experiments or not."""
        # Grouping, not count(DISTINCT): that would sort all rows.
        query = """
            SELECT count(*), extract(epoch FROM min(first))::float8 FROM (
                SELECT min(at) AS first FROM (
                    SELECT CASE WHEN %s THEN user_id ELSE request_id END AS unit, at
                    FROM outcomes WHERE model = %s AND at >= %s
                ) AS named WHERE unit IS NOT NULL GROUP BY unit
            ) AS units"""
        async with connection(self._pool) as lent:
            ((units, first_at),) = await _rows(lent, query, by_user, model, datetime.fromtimestamp(since, tz=UTC))
        return UnitsSeen(units=units, first_at=first_at)


async def _rows(lent: Connection, query: Any, *values: object) -> list[tuple[Any, ...]]:
    return await (await lent.execute(query, values)).fetchall()


async def _lock(lent: Connection, models: Sequence[str]) -> None:
    for model in models:
        await lent.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK_CLASS, model))


async def _known_ids(lent: Connection, outcomes: Sequence[Outcome]) -> set[tuple[str, str]]:
    query = "SELECT model, id FROM outcomes JOIN unnest(%s::text[], %s::text[]) AS asked (model, id) USING (model, id)"
    rows = await _rows(lent, query, [o.model for o in outcomes], [o.id for o in outcomes])
    return {(model, name) for model, name in rows}


async def _experiments(lent: Connection, models: Sequence[str], now: float) -> Mapping[str, CountedExperiment]:
    """Return the experiments that may still count something."""
    query = """
        SELECT number, id, model, spec, salt, started_at, ended_at,
            (SELECT coalesce(json_agg(json_build_array(index, weights, e.started_at) ORDER BY index), '[]')
             FROM counted_epochs e WHERE e.number = x.number)
        FROM counted_experiments x
        WHERE model = ANY(%s) AND (ended_at IS NULL OR ended_at > %s - (spec->>'attributionWindowSeconds')::float8)"""
    return {
        name: CountedExperiment(
            id=name,
            number=number,
            model=model,
            spec=AbTestSpec.model_validate(spec),
            salt=salt,
            started_at=started_at,
            ended_at=ended_at,
            epochs=tuple(CountedEpoch(index, dict(weights), at) for index, weights, at in epochs),
        )
        for number, name, model, spec, salt, started_at, ended_at, epochs in await _rows(lent, query, models, now)
    }


async def _requests(
    lent: Connection, outcomes: Sequence[Outcome], now: float
) -> Mapping[tuple[str, str], tuple[str | None, str | None]]:
    """Return user and slot of earlier outcomes of the requests that are asked for."""
    asked = [o for o in outcomes if o.request_id is not None and (o.user_id is None or o.slot is None)]
    if not asked:
        return {}
    query = """
        SELECT model, request_id,
            (array_agg(user_id ORDER BY received_at) FILTER (WHERE user_id IS NOT NULL))[1],
            (array_agg(slot ORDER BY received_at) FILTER (WHERE slot IS NOT NULL))[1]
        FROM outcomes JOIN unnest(%s::text[], %s::text[]) AS asked (model, request_id) USING (model, request_id)
        WHERE at > %s AND (user_id IS NOT NULL OR slot IS NOT NULL)
        GROUP BY model, request_id"""
    oldest = datetime.fromtimestamp(now - _JOIN_SECONDS, tz=UTC)
    rows = await _rows(lent, query, [o.model for o in asked], [o.request_id for o in asked], oldest)
    return {(model, request): (user, slot) for model, request, user, slot in rows}


async def _units(
    lent: Connection, experiments: Mapping[str, CountedExperiment], outcomes: Sequence[Outcome]
) -> Mapping[UnitKey, Unit]:
    keys = sorted(unit_keys(list(experiments.values()), outcomes))
    if not keys:
        return {}
    names = {experiment.number: name for name, experiment in experiments.items()}
    query = """
        SELECT number, unit, epoch, arm, first_at, amounts, censored_at
        FROM counted_units JOIN unnest(%s::int[], %s::text[]) AS asked (number, unit) USING (number, unit)"""
    rows = await _rows(lent, query, [experiments[name].number for name, _ in keys], [unit for _, unit in keys])
    return {
        (names[number], unit): Unit(epoch, arm, first_at, tuple(amounts), censored_at)
        for number, unit, epoch, arm, first_at, amounts, censored_at in rows
    }


async def _keep(lent: Connection, outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    async with lent.cursor() as cursor, cursor.copy(_COPY) as copy:
        for o in outcomes:
            at = datetime.fromtimestamp(o.at, tz=UTC)
            await copy.write_row((o.model, o.id, at, o.metric, o.value, o.user_id, o.request_id, o.slot))


async def _save(lent: Connection, experiments: Mapping[str, CountedExperiment], counted: Counted) -> None:
    units = [
        (experiments[name].number, unit, u.epoch, u.arm, u.first_at, u.censored_at, list(u.amounts))
        for (name, unit), u in counted.units.items()
    ]
    arms: list[tuple[Any, ...]] = []
    sums: list[tuple[Any, ...]] = []
    newest: list[tuple[Any, ...]] = []
    for name, tally in counted.tallies.items():
        number = experiments[name].number
        arms += [(number, epoch, arm, count) for (epoch, arm), count in tally.units.items()]
        sums += [(number, *key, int(steps[0]), *steps[1:]) for key, steps in tally.sums.items()]
        if tally.newest_at > float("-inf"):
            newest.append((tally.newest_at, number))
    async with lent.cursor() as cursor:
        for query, rows in _filled((_UPSERT_UNIT, units), (_ADD_UNITS, arms), (_ADD_SUMS, sums), (_NEWEST, newest)):
            await cursor.executemany(query, rows)


def _filled(*changes: tuple[LiteralString, list[tuple[Any, ...]]]) -> list[tuple[LiteralString, list[tuple[Any, ...]]]]:
    return [(query, rows) for query, rows in changes if rows]
