"""Pipeline runs become events and counts: what a Job's status means, once and only once, on a real event store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest
from prometheus_client import generate_latest

from ml.cli.outputs import parse_outputs
from ml.cli.train.job import training_job
from ml.contracts import PIPELINE_LABEL, TRAINING_PIPELINE
from ml.controller.metrics import ControllerMetrics
from ml.controller.pipeline_runs import PipelineRecorder, ended_run
from ml.events.pool import Pool, open_pool
from ml.events.projector import Projector
from ml.events.queries import Queries
from ml.events.schema import migrate
from ml.events.store import PostgresEventStore
from ml.events.types import pipeline_run_stream
from ml.kubernetes import ApiError, JsonObject
from tests.support.postgres import shared_postgres
from tests.unit.cli.platform import OUTPUTS

ENDED_AT = "2026-11-26T10:03:20Z"
ENDED_SECONDS = 1_795_687_400.0


def job(uid: str, ending: str | None, **condition: str) -> JsonObject:
    """Return a Job as `mlp train` makes it and Kubernetes ends it."""
    made = deepcopy(training_job(parse_outputs(OUTPUTS), f"train-models-{uid}", force=False))
    made["metadata"]["uid"] = uid
    status: dict[str, Any] = {"startTime": "2026-11-26T10:00:00Z"}
    made["status"] = status
    if ending is not None:
        # Kubernetes says first that it is about to end, then that it has.
        before = {"type": f"{ending}Target".replace("CompleteTarget", "SuccessCriteriaMet"), "status": "True"}
        after = {"type": ending, "status": "True", "lastTransitionTime": ENDED_AT, **condition}
        status["conditions"] = [before, after]
    return made


class JobTable:
    """The Jobs of a namespace."""

    def __init__(self, *jobs: JsonObject) -> None:
        self.jobs = list(jobs)
        self.down = False

    async def list(self, label_selector: str = "") -> list[JsonObject]:
        if self.down:
            raise ApiError("the API server is away")
        return [job for job in self.jobs if label_selector in job["metadata"]["labels"]]


def test_run_is_told_with_its_job_and_its_time_when_it_succeeded() -> None:
    run = ended_run(job("u1", "Complete"))
    assert run is not None
    assert (run.pipeline, run.run, run.succeeded, run.at) == (TRAINING_PIPELINE, "u1", True, ENDED_SECONDS)
    assert run.details == {"job": "train-models-u1", "seconds": 200.0}


def test_run_is_told_with_kubernetes_reason_when_it_failed() -> None:
    run = ended_run(job("u2", "Failed", reason="DeadlineExceeded", message="Job was active longer than specified"))
    assert run is not None
    assert not run.succeeded
    assert run.details["reason"] == "DeadlineExceeded"
    assert run.details["message"] == "Job was active longer than specified"


@pytest.mark.parametrize(
    "status", [{}, {"conditions": None}, {"conditions": [{"type": "Suspended", "status": "True"}]}]
)
def test_nothing_is_told_when_a_run_is_not_over(status: dict[str, Any]) -> None:
    assert ended_run({**job("u3", None), "status": status}) is None
    assert ended_run(job("u3", "Failed", status="False")) is None


def on_store(action: Callable[[Pool], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_pool(shared_postgres().new_database(), size=4) as pool:
            await migrate(pool)
            await action(pool)

    asyncio.run(inside())


def recorder(pool: Pool, jobs: JobTable, metrics: ControllerMetrics) -> PipelineRecorder:
    return PipelineRecorder(jobs, PostgresEventStore(pool), Queries(pool), publish=metrics.pipelines)


def published(metrics: ControllerMetrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    found = [line.rsplit(" ", 1) for line in lines if line.startswith("mlplatform_pipeline_runs_total{")]
    return {name.removeprefix("mlplatform_pipeline_runs_total"): float(value) for name, value in found}


def counts(succeeded: int, failed: int, pipeline: str = TRAINING_PIPELINE) -> dict[str, float]:
    return {
        f'{{pipeline="{pipeline}",result="succeeded"}}': succeeded,
        f'{{pipeline="{pipeline}",result="failed"}}': failed,
    }


@pytest.mark.slow
def test_every_run_is_counted_once_when_controllers_look_again_and_again() -> None:
    async def action(pool: Pool) -> None:
        table = JobTable(job("a", "Complete"), job("b", "Failed"), job("c", None))
        for _ in range(2):  # two controllers, each with nothing remembered
            metrics = ControllerMetrics()
            looking = recorder(pool, table, metrics)
            for _ in range(2):
                await looking.look()
                await Projector(pool).catch_up()
            await looking.look()
            assert published(metrics) == counts(1, 1)
        stored = await PostgresEventStore(pool).read(pipeline_run_stream("b"))
        assert [item.event for item in stored] == [ended_run(job("b", "Failed"))]

    on_store(action)


@pytest.mark.slow
def test_count_stays_when_the_jobs_are_gone_and_another_name_is_used_again() -> None:
    async def action(pool: Pool) -> None:
        table, metrics = JobTable(job("a", "Complete")), ControllerMetrics()
        looking = recorder(pool, table, metrics)
        await looking.look()
        again = job("d", "Failed")
        again["metadata"]["name"] = "train-models-a"
        table.jobs = [again]
        await looking.look()
        table.jobs = []
        await Projector(pool).catch_up()
        await looking.look()
        assert published(metrics) == counts(1, 1)

    on_store(action)


@pytest.mark.slow
def test_known_pipeline_is_told_with_zeros_and_others_of_their_own_when_published() -> None:
    async def action(pool: Pool) -> None:
        table, metrics = JobTable(), ControllerMetrics()
        looking = recorder(pool, table, metrics)
        assert published(metrics) == {}
        await looking.look()
        assert published(metrics) == counts(0, 0)
        other = job("e", "Failed")
        other["metadata"]["labels"][PIPELINE_LABEL] = "nightly"
        table.jobs = [other]
        await looking.look()
        await Projector(pool).catch_up()
        await looking.look()
        assert published(metrics) == {**counts(0, 0), **counts(0, 1, "nightly")}
        metrics.leads(False)
        assert published(metrics) == {}, "a controller that does not act tells nothing"

    on_store(action)


@pytest.mark.slow
def test_run_is_recorded_later_when_the_api_server_is_away_at_first() -> None:
    async def action(pool: Pool) -> None:
        table, metrics = JobTable(job("a", "Failed")), ControllerMetrics()
        table.down = True
        looking = recorder(pool, table, metrics)
        with pytest.raises(ApiError):
            await looking.look()
        table.down = False
        await looking.look()
        await Projector(pool).catch_up()
        await looking.look()
        assert published(metrics) == counts(0, 1)

    on_store(action)
