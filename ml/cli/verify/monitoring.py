"""Asks Prometheus what it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast
from urllib.parse import quote

from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import MEASURED_JOBS, PROMETHEUS_PORT, PROMETHEUS_SERVICE

_TARGETS: Final = "/api/v1/targets?state=active"
"""Not the series `up`: for minutes after a restart it still has addresses that other pods have by now."""
_DATABASE_SERIES: Final = "pg_up"
"""The exporter answers for PostgreSQL even while that is away, and says so in a series of its own."""
_VERSION_SERIES: Final = "mlplatform_sync_wanted_version"
_QUERY: Final = f'{{__name__=~"{_DATABASE_SERIES}|{_VERSION_SERIES}"}}[5m]'
"""Samples with their times, so that the newest of an address can be told from those of a pod that had it before."""
PATIENCE_SECONDS = 15.0
"""A pod that has just begun, or ended, may be measured wrongly until Prometheus has looked at it again."""
_LOOK_AGAIN_SECONDS: Final = 1.0
_MODEL_SERVER: Final = "model-server"
_DATABASE: Final = "metadata-db"
_STORE: Final = "object-store"


async def every_part_is_measured(kubectl: Kubectl, outputs: StackOutputs) -> str:
    """See that there are targets of every kind, and that each of them answers."""
    expected = [job for job in MEASURED_JOBS if job != _STORE or outputs.object_store is not None]
    async with kubectl.forward(outputs.namespace, f"service/{PROMETHEUS_SERVICE}", PROMETHEUS_PORT) as port:
        endpoint = Endpoint(f"127.0.0.1:{port}", "localhost", "Prometheus")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = await endpoint.ask_well("GET", _TARGETS)
            targets = _targets(cast("list[dict[str, Any]]", answer.json()["data"]["activeTargets"]))
            answer = await endpoint.ask_well("GET", f"/api/v1/query?query={quote(_QUERY)}")
            series = cast("list[dict[str, Any]]", answer.json()["data"]["result"])
            running = _running(await kubectl.items(outputs.namespace, "pods"))
            problems = _problems(series, targets, expected, running)
            if not problems or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    if problems:
        raise UserError(
            "; ".join(problems),
            f"see {PROMETHEUS_SERVICE}'s page /targets: "
            f"kubectl port-forward -n {outputs.namespace} service/{PROMETHEUS_SERVICE} {PROMETHEUS_PORT}",
        )
    return f"{sum(targets.values())} targets of {len(expected)} kinds answer"


def _problems(
    series: Sequence[Mapping[str, Any]],
    targets: Mapping[tuple[str, str], bool],
    expected: Sequence[str],
    running: AbstractSet[str],
) -> list[str]:
    known = {job for job, _ in targets}
    problems = [f"there is no target of {job}" for job in expected if job not in known]
    down = {target for target, answers in targets.items() if not answers} - _empty_slots(series, targets)
    # A pod that cannot start or is gone is no fault of the measuring, as long as others of its kind are measured.
    measured = {job for (job, _), answers in targets.items() if answers}
    down = {(job, instance) for job, instance in down if instance in running or job not in measured}
    problems += [f"nothing is measured of {job} ({instance})" for job, instance in sorted(down)]
    database = {value for target, value in _newest(series, _DATABASE_SERIES).items() if target in targets}
    if database != {1.0} and not any(job == _DATABASE for job, _ in down):
        problems.append(f"the exporter of {_DATABASE} does not reach the database")
    return problems


def _running(pods: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the addresses of the pods whose containers all run."""
    found: set[str] = set()
    for pod in pods:
        status = cast("Mapping[str, Any]", pod.get("status", {}))
        containers = status.get("containerStatuses", [])
        if containers and all("running" in container.get("state", {}) for container in containers):
            found.add(str(status.get("podIP")))
    return found


def _targets(active: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], bool]:
    """Return whether the last look at each target succeeded, by job and instance."""
    return {
        (str(target["labels"]["job"]), str(target["labels"]["instance"])): target["health"] == "up" for target in active
    }


def _newest(series: Sequence[Mapping[str, Any]], name: str) -> dict[tuple[str, str], float]:
    """Return the newest value of a series by job and instance."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for entry in series:
        labels = cast("Mapping[str, str]", entry["metric"])
        if labels.get("__name__") == name:
            at, value = entry["values"][-1]
            target = (str(labels.get("job")), str(labels.get("instance")))
            found[target] = max(found.get(target, (0.0, 0.0)), (float(at), float(value)))
    return {target: value for target, (_, value) in found.items()}


def _empty_slots(series: Sequence[Mapping[str, Any]], targets: Mapping[tuple[str, str], bool]) -> set[tuple[str, str]]:
    """Return the model servers that nobody is known to want a version of: they open no port before they have one."""
    wanted = {at for (_, at), version in _newest(series, _VERSION_SERIES).items() if version > 0}
    return {(job, instance) for job, instance in targets if job == _MODEL_SERVER and instance not in wanted}
