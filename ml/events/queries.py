"""The read side: typed questions to the projections. Nothing here writes."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, LiteralString, TypeVar, cast

from ml.contracts import STABLE_SLOT
from ml.events.migrations import STEPS
from ml.events.pool import Pool, connection
from ml.events.records import (
    CommandRecord,
    DecisionRecord,
    DecisionText,
    EpochView,
    EventText,
    ExperimentRecord,
    ModelRecord,
    Page,
    PipelineCounts,
    PipelineRun,
    SlotView,
    Stretch,
    TimelinePoint,
    VersionView,
)
from ml.events.schema import schema_step
from ml.events.types import FINAL_PHASES, Phase, experiment_stream
from ml.events.upcasting import newest_text
from ml.experiments.specification import TOTAL_WEIGHT

_T = TypeVar("_T")
LARGEST_PAGE: Final = 1000
LARGEST_STRETCH_CHARACTERS: Final = 1_000_000
"""A stretch of a sequence ends with the item that reaches this."""
_ROWS_AT_ONCE: Final = 100
_EXPERIMENT: Final = """
SELECT e.id, e.name, e.namespace, e.model, e.phase, e.reason, e.message, e.created_at, e.started_at, e.ended_at,
    e.winner, e.weights, e.salt_index, e.problems, e.by, e.position,
    d.position, d.at, d.action, d.reasons, d.weights, d.sample_ratio_p, d.hash"""
_DOCUMENTS: Final = ", e.spec, e.specification, e.plan"
_NO_DOCUMENTS: Final = ", '{}'::json, '{}'::json, '{}'::json"
_WHOLE: Final = f"{_EXPERIMENT}{_DOCUMENTS}, d.decision"
_FROM: Final = " FROM experiments e LEFT JOIN decisions d ON d.experiment = e.id AND d.position = e.decision_position"
_NEWEST: Final = " ORDER BY e.created_at DESC, e.id DESC LIMIT %s"
_NO_END: Final = 2**62
_DECISION: Final = """
SELECT experiment, position, at, action, reasons, weights, decision, sample_ratio_p, hash
FROM decisions WHERE experiment = %s AND position > %s"""


class Queries:
    """Answers from the read models, which follow the log within moments."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_experiments(
        self,
        *,
        model: str | None = None,
        phase: Phase | None = None,
        name_prefix: str | None = None,
        active: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
        documents: bool = True,
    ) -> Page[ExperimentRecord]:
        """Return experiments, newest first; their last decisions come without the decision document.

        Without `documents` what was promised (spec, specification and plan) is left empty, too, for whoever shows none
        of it: reading it takes longer than all the rest.

        Raises:
            ValueError: the cursor is not one that a page had, or limit is out of range.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise ValueError(f"limit={limit}: allowed are 1 to {LARGEST_PAGE}")
        conditions: list[LiteralString] = []
        values: list[Any] = []
        if model is not None:
            conditions.append("e.model = %s")
            values.append(model)
        if phase is not None:
            conditions.append("e.phase = %s")
            values.append(phase)
        if name_prefix:
            conditions.append("e.name LIKE %s")
            values.append(name_prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
        if active is not None:
            conditions.append("e.ended_at IS NULL" if active else "e.ended_at IS NOT NULL")
        if cursor is not None:
            conditions.append("(e.created_at, e.id) < (%s, %s)")
            values += _place(cursor)
        where: LiteralString = " WHERE " + " AND ".join(conditions) if conditions else ""
        promised: LiteralString = _DOCUMENTS if documents else _NO_DOCUMENTS
        rows = await self._rows(f"{_EXPERIMENT}{promised}, NULL{_FROM}{where}{_NEWEST}", *values, limit + 1)
        records = [_experiment(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(records, _cursor(records[-1]) if more else None)

    async def experiment(self, name_or_id: str, namespace: str | None = None) -> ExperimentRecord | None:
        """Return an experiment by its id, or the newest one of that name."""
        query = f"{_WHOLE}{_FROM} WHERE e.id = %s"
        rows = await self._rows(query, name_or_id)
        if not rows:
            query = f"{_WHOLE}{_FROM} WHERE e.name = %s AND (%s::text IS NULL OR e.namespace = %s)"
            rows = await self._rows(query + _NEWEST, name_or_id, namespace, namespace, 1)
        return _experiment(rows[0]) if rows else None

    async def active_experiment(self, model: str) -> ExperimentRecord | None:
        """Return the newest experiment of a model that has weights in force and has not ended."""
        query = f"{_WHOLE}{_FROM} WHERE e.model = %s AND e.ended_at IS NULL AND e.started_at IS NOT NULL"
        rows = await self._rows(query + _NEWEST, model, 1)
        return _experiment(rows[0]) if rows else None

    async def history(self, experiment: str, after: int = 0, limit: int = LARGEST_PAGE) -> Stretch[EventText]:
        """Return events of an experiment's stream after a position, in order.

        Raises:
            UnreadableEventError: one is not what this version can read.
        """
        query = "SELECT version, data::text FROM events WHERE stream = %s AND version > %s ORDER BY version LIMIT %s"
        stretch = await self._stretch(query, experiment_stream(experiment), after, limit, lambda row: row)
        items = [EventText(position=position, text=newest_text(text)) for position, text in stretch.items]
        return Stretch(items, stretch.next_after)

    async def decision_texts(self, experiment: str, after: int = 0, limit: int = LARGEST_PAGE) -> Stretch[DecisionText]:
        """Return decisions of an experiment after a position of its stream, in order."""
        query = """
            SELECT position, decision::text, at, action, reasons, weights, sample_ratio_p, hash
            FROM decisions WHERE experiment = %s AND position > %s ORDER BY position LIMIT %s"""
        names = ("position", "text", "at", "action", "reasons", "weights", "sample_ratio_p", "hash")

        def read(row: tuple[Any, ...]) -> DecisionText:
            return DecisionText(experiment=experiment, **dict(zip(names, row, strict=True)))

        return await self._stretch(query, experiment, after, limit, read)

    async def decisions(
        self,
        experiment: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Sequence[DecisionRecord]:
        """Return decisions of an experiment between two positions of its stream, both excluded."""
        order: LiteralString = " ORDER BY position DESC LIMIT %s" if newest_first else " ORDER BY position LIMIT %s"
        rows = await self._rows(f"{_DECISION} AND position < %s{order}", experiment, after, before or _NO_END, limit)
        return [_decision(row) for row in rows]

    async def timeline(self, experiment: str, points: int = 300) -> Sequence[TimelinePoint]:
        """Return points of at most so many decisions, spread evenly, the first and the newest always among them."""
        if not 2 <= points <= LARGEST_PAGE:
            raise ValueError(f"points={points}: allowed are 2 to {LARGEST_PAGE}")
        # One look-up in the index per point, so that it costs the same however many decisions there are.
        query = """
            WITH ends AS (SELECT min(position) AS low, max(position) AS high FROM decisions WHERE experiment = %(id)s)
            SELECT DISTINCT ON (position) position, at, primary_evidence
            FROM ends CROSS JOIN generate_series(0, %(last)s::bigint) AS point CROSS JOIN LATERAL (
                SELECT position, at, primary_evidence FROM decisions
                WHERE experiment = %(id)s AND position >= low + point * (high - low) / %(last)s
                ORDER BY position LIMIT 1
            ) AS nearest ORDER BY position"""
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query, {"id": experiment, "last": points - 1})).fetchall()
        return [TimelinePoint(position=position, at=at, evidence=evidence) for position, at, evidence in rows]

    async def ping(self) -> bool:
        """Return whether the database answers and has this version's schema (for readiness)."""
        return await schema_step(self._pool) >= len(STEPS)

    async def lag(self) -> Mapping[str, int]:
        """Return per projection how far it is behind the end of the log."""
        query = "SELECT name, (SELECT coalesce(max(position), 0) FROM events) - position FROM projections"
        async with connection(self._pool) as lent:
            rows = await (await lent.execute(query)).fetchall()
        return {name: int(behind) for name, behind in rows}

    async def epochs(self, experiment: str) -> Sequence[EpochView]:
        """Return the stretches of time with the same weights, in order."""
        query = "SELECT index, at, weights FROM experiment_epochs WHERE experiment = %s ORDER BY index"
        return [EpochView(index=i, at=at, weights=weights) for i, at, weights in await self._rows(query, experiment)]

    async def audit(self, experiment: str) -> Sequence[CommandRecord]:
        """Return what people asked of an experiment and what became of it, in order."""
        query = """
            SELECT command, experiment, position, at, action, arm, by, why, source, accepted, message
            FROM commands WHERE experiment = %s ORDER BY position"""
        names = ("command", "experiment", "position", "at", "action", "arm", "by", "why", "source", "accepted")
        rows = await self._rows(query, experiment)
        return [CommandRecord(**dict(zip((*names, "message"), row, strict=True))) for row in rows]

    async def models(self) -> Sequence[ModelRecord]:
        """Return all models that events tell of, by name."""
        versions: defaultdict[str, list[VersionView]] = defaultdict(list)
        slots: defaultdict[str, list[SlotView]] = defaultdict(list)
        query = "SELECT model, model_version, run, metrics, at FROM model_versions ORDER BY model, model_version DESC"
        for model, version, run, metrics, at in await self._rows(query):
            versions[model].append(VersionView(model_version=version, run=run, metrics=metrics, at=at))
        query = "SELECT model, slot, model_version, at FROM model_slots ORDER BY model, slot"
        for model, slot, version, at in await self._rows(query):
            slots[model].append(SlotView(slot=slot, model_version=version, at=at))
        champions = dict(
            cast("list[tuple[str, int]]", await self._rows("SELECT model, model_version FROM model_champions"))
        )
        return [
            ModelRecord(name=name, champion=champions.get(name), versions=versions[name], slots=slots[name])
            for name in sorted({*versions, *slots, *champions})
        ]

    async def model(self, name: str) -> ModelRecord | None:
        """Return one model."""
        return next((record for record in await self.models() if record.name == name), None)

    async def pipelines(self, limit: int = 100) -> Sequence[PipelineRun]:
        """Return runs of pipelines, newest first."""
        query = "SELECT pipeline, run, succeeded, details, at FROM pipeline_runs ORDER BY at DESC LIMIT %s"
        names = ("pipeline", "run", "succeeded", "details", "at")
        return [PipelineRun(**dict(zip(names, row, strict=True))) for row in await self._rows(query, limit)]

    async def pipeline_counts(self) -> Mapping[str, PipelineCounts]:
        """Return per pipeline how many of its runs have ended, ever."""
        query = """
            SELECT pipeline, count(*) FILTER (WHERE succeeded), count(*) FILTER (WHERE NOT succeeded)
            FROM pipeline_runs GROUP BY pipeline"""
        return {
            name: PipelineCounts(succeeded=succeeded, failed=failed)
            for name, succeeded, failed in await self._rows(query)
        }

    async def _stretch(
        self, query: LiteralString, key: str, after: int, limit: int, read: Callable[[tuple[Any, ...]], _T]
    ) -> Stretch[_T]:
        """Return rows after a position: at most `limit`, and none once `LARGEST_STRETCH_CHARACTERS` are reached.

        Args:
            query: of position and text and whatever else is wanted, given key, position and number of rows.
            key: of the sequence.
            after: position after which to begin.
            limit: at most so many.
            read: makes an item of a row.
        """
        items: list[_T] = []
        size = 0
        while len(items) < limit:
            wanted = min(_ROWS_AT_ONCE, limit - len(items))
            rows = await self._rows(query, key, after, wanted)
            for row in rows:
                items.append(read(row))
                after, size = int(row[0]), size + len(row[1])
                if size >= LARGEST_STRETCH_CHARACTERS:
                    return Stretch(items, after)
            if len(rows) < wanted:
                return Stretch(items, None)
        return Stretch(items, after)

    async def _rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        async with connection(self._pool) as lent:
            return await (await lent.execute(query, values)).fetchall()


def _experiment(row: tuple[Any, ...]) -> ExperimentRecord:
    names = (
        *("id", "name", "namespace", "model", "phase", "reason", "message", "created_at", "started_at", "ended_at"),
        *("winner", "weights", "salt_index", "problems", "by", "position"),
    )
    fields: dict[str, Any] = dict(zip(names, row, strict=False))
    if fields["phase"] in FINAL_PHASES:
        # An experiment ends only when the gateway was seen to send everything to control; no epoch tells of that.
        fields["weights"] = {arm: TOTAL_WEIGHT if arm == STABLE_SLOT else 0 for arm in fields["weights"]}
    position, at, action, reasons, weights, ratio, digest, spec, specification, plan, document = row[len(names) :]
    fields |= {"spec": spec, "specification": specification, "plan": plan}
    last = None
    if position is not None:
        last = _decision((fields["id"], position, at, action, reasons, weights, document or {}, ratio, digest))
    return ExperimentRecord(**fields, last_decision=last)


def _decision(row: tuple[Any, ...]) -> DecisionRecord:
    experiment, position, at, action, reasons, weights, decision, ratio, digest = row
    return DecisionRecord(
        experiment=experiment,
        position=position,
        at=at,
        action=action,
        reasons=reasons,
        weights=weights,
        decision=decision,
        sample_ratio_p=ratio,
        hash=digest,
    )


def _cursor(record: ExperimentRecord) -> str:
    return base64.urlsafe_b64encode(json.dumps([record.created_at, record.id]).encode()).decode()


def _place(cursor: str) -> list[Any]:
    try:
        place: object = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError):
        place = None
    match place:
        case [float() | int() as at, str() as name] if "\0" not in name and at == at:
            return [float(at), name]
        case _:
            raise ValueError(f"cursor={cursor[:80]!r}: allowed is the next_cursor of a page")
