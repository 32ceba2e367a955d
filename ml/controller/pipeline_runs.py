"""Records how pipeline runs ended, from the Jobs that they ran in, and counts them for Prometheus.

A run does not report itself. Whatever could report would have to live to the end, and the runs that matter most here
are those that were killed: by their deadline, by the node, for their memory. So training knows neither the event store
nor the API and needs no token; it carries a label, and Kubernetes tells how it ended.

A Job is there for a day after its end, so a controller that was away for less misses none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn, Protocol, cast

from ml.contracts import PIPELINE_LABEL
from ml.controller.documents import mapping
from ml.events.ports import EventStore, StoreUnavailableError, VersionConflictError
from ml.events.records import PipelineCounts
from ml.events.types import PipelineRan, pipeline_run_stream
from ml.kubernetes import ApiError, JsonObject

LOG: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 15.0
_ENDINGS: Final = {"Complete": True, "Failed": False}
"""Conditions under which a Job is over, and whether it reached its goal."""


class Jobs(Protocol):
    """The Jobs of the namespace; `ml.kubernetes.Resources` has them at the API server."""

    async def list(self, label_selector: str = "") -> list[JsonObject]:
        """Return those with certain labels."""
        ...


class Counts(Protocol):
    """What has been recorded; `ml.events.queries.Queries` has it in the read models."""

    async def pipeline_counts(self) -> Mapping[str, PipelineCounts]:
        """Return per pipeline how many of its runs have ended, ever."""
        ...


class PipelineRecorder:
    """Looks at the Jobs again and again; recording the same run twice is impossible, so that several may look."""

    def __init__(
        self, jobs: Jobs, events: EventStore, counts: Counts, publish: Callable[[Mapping[str, PipelineCounts]], None]
    ) -> None:
        self._jobs = jobs
        self._events = events
        self._counts = counts
        self._publish = publish
        self._recorded: set[str] = set()
        """Runs whose Jobs are still there, so that they are not recorded at each look."""

    async def run(self, failed: Callable[[str], None]) -> NoReturn:
        """Record until cancelled; `failed` is told who did not answer."""
        while True:
            try:
                await self.look()
            except ApiError as error:
                failed("jobs")
                LOG.warning("pipeline runs not looked at: %s", error)
            except StoreUnavailableError as error:
                failed("events")
                LOG.warning("pipeline runs not recorded: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Record the runs that have ended since the last look, and publish how many there are.

        Raises:
            ApiError: the Jobs are not known.
            StoreUnavailableError: a run may not have been recorded; the next look tries again.
        """
        ended = [run for job in await self._jobs.list(PIPELINE_LABEL) if (run := ended_run(job)) is not None]
        for run in ended:
            if run.run not in self._recorded:
                await self._record(run)
        self._recorded = {run.run for run in ended}
        self._publish(await self._counts.pipeline_counts())

    async def _record(self, run: PipelineRan) -> None:
        try:
            await self._events.append(pipeline_run_stream(run.run), 0, [run])
        except VersionConflictError:
            return  # by another controller, or by this one in an earlier life
        LOG.info("%s: run %s %s", run.pipeline, run.run, "succeeded" if run.succeeded else "failed")


def ended_run(job: Mapping[str, Any]) -> PipelineRan | None:
    """Return what a Job tells about its run; None while it is not over."""
    metadata, status = mapping(job.get("metadata")), mapping(job.get("status"))
    conditions = cast("Sequence[Mapping[str, str]]", status.get("conditions") or [])
    ending = next((item for item in conditions if item["type"] in _ENDINGS and item["status"] == "True"), None)
    if ending is None:
        return None
    at = _seconds(ending["lastTransitionTime"])
    details: dict[str, Any] = {"job": str(metadata["name"])}
    if started := status.get("startTime"):
        details["seconds"] = at - _seconds(str(started))
    details |= {key: ending[key] for key in ("reason", "message") if ending.get(key)}
    return PipelineRan(
        at=at,
        pipeline=str(mapping(metadata.get("labels"))[PIPELINE_LABEL]),
        run=str(metadata["uid"]),
        succeeded=_ENDINGS[ending["type"]],
        details=details,
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
