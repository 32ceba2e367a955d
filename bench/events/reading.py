"""What reads cost with 10,000 experiments and a million events: the store's part of the API's answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from ml.contracts.abtest import AbTestSpec
from ml.events.decisions import canonical
from ml.events.pool import Pool, connection
from ml.events.queries import Queries

_EXPERIMENTS: Final = 10_000
_EVENTS_EACH: Final = 100
_ROUNDS: Final = 100
_EVENTS: Final = """
INSERT INTO events (stream, version, type, data)
SELECT 'experiment-' || e, v, 'CommandIssued', json_build_object('type', 'CommandIssued', 'version', 1, 'at', v,
    'command', v::text, 'action', 'pause', 'arm', NULL, 'by', 'ann', 'why', 'because', 'source', 'api')
FROM generate_series(1, %s) AS e, generate_series(1, %s) AS v"""
_RECORDS: Final = """
INSERT INTO experiments (id, name, namespace, model, phase, created_at, started_at, ended_at, salt_index, spec,
    specification, plan, by, position, decision_position)
SELECT e::text, 'test-' || e, 'platform', 'model_' || e %% 20, CASE WHEN e %% 50 = 0 THEN 'Running' ELSE 'Promoted' END,
    e, e, CASE WHEN e %% 50 = 0 THEN NULL ELSE e + 1 END, 0, %s, '{}', '{}', 'ann', %s, 90
FROM generate_series(1, %s) AS e"""
_DECISIONS: Final = """
INSERT INTO decisions
SELECT e::text, v, v, 'continue', ARRAY['running'], '{"stable": 500, "candidate-a": 500}', %s, 0.5, repeat('0', 64)
FROM generate_series(1, %s) AS e, generate_series(60, 90) AS v"""
_LONG: Final = """
INSERT INTO decisions
SELECT 'long', v, v, 'continue', ARRAY['running'], '{"stable": 500, "candidate-a": 500}', %s, 0.5, repeat('0', 64)
FROM generate_series(1, 40000) AS v"""


async def measure(pool: Pool) -> list[str]:
    """Fill the tables and ask each question many times."""
    document = canonical(
        {"action": "continue", "evidence": [{"metric": f"m{n}", "estimate": n / 3} for n in range(40)]}
    )
    spec = AbTestSpec.model_validate(
        {"model": "model_1", "primary": {"name": "c", "minimumEffect": 0.01, "baseline": 0.1}}
    ).model_dump_json(by_alias=True)
    async with connection(pool) as lent:
        await lent.execute(_EVENTS, (_EXPERIMENTS, _EVENTS_EACH))
        await lent.execute(_RECORDS, (spec, _EVENTS_EACH, _EXPERIMENTS))
        await lent.execute(_DECISIONS, (document, _EXPERIMENTS))
        await lent.execute(_LONG, (document,))
        await lent.execute("ANALYZE")
    queries = Queries(pool)
    middle = (await queries.list_experiments(limit=1)).next_cursor
    questions: list[tuple[str, Callable[[int], Awaitable[object]]]] = [
        ("list of 50", lambda _n: queries.list_experiments()),
        ("next page", lambda _n: queries.list_experiments(cursor=middle)),
        ("list by model and phase", lambda n: queries.list_experiments(model=f"model_{n % 20}", phase="Running")),
        ("list by name prefix", lambda n: queries.list_experiments(name_prefix=f"test-{n}")),
        ("one experiment by name", lambda n: queries.experiment(f"test-{n + 1}")),
        ("history of 100 events", lambda n: queries.history(str(n + 1))),
        ("31 decisions with evidence", lambda n: queries.decisions(str(n + 1))),
        ("timeline: 300 of 40,000 decisions", lambda _n: queries.timeline("long")),
    ]
    return [await _measured(what, ask) for what, ask in questions]


async def _measured(what: str, ask: Callable[[int], Awaitable[object]]) -> str:
    times: list[float] = []
    for number in range(_ROUNDS):
        started = time.perf_counter()
        await ask(number * 97 % _EXPERIMENTS)
        times.append(1e3 * (time.perf_counter() - started))
    return f"| {what}, P95 of {_ROUNDS} | {np.percentile(times, 95):.1f} ms | <= 50 ms |"
