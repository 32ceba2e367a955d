"""Experiments of the end-to-end tests: how they are asked for, and what their record says afterwards.

Time is compressed (an interval of 2 s instead of 30 s, a ramp of 10 s instead of an hour) and effects are large; the
way of the data is the real one: gateway, Prometheus, API, PostgreSQL, controller, MLflow, gateway.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ml import contracts
from tests.e2e.application import Api, Application, Behaviour
from tests.e2e.cluster import Cluster, eventually
from tests.support.model_variants import write_variant

MODEL = contracts.CONTENT_QUALITY_MODEL
STABLE, CANDIDATE = contracts.STABLE_SLOT, contracts.DEFAULT_CANDIDATE_SLOT
INTERVAL_SECONDS = 2
HARD_TO_FIND: dict[str, Any] = {
    "primary": {"name": "converted", "aggregation": "any", "baseline": 0.3, "minimumEffect": 0.01},
    "expectedUnitsPerDay": 20_000_000,
}
"""Changes of the spec after which an experiment runs longer than a test looks at it."""
FINAL = {"Promoted", "RolledBack", "Inconclusive", "Invalid", "Cancelled"}
_DECIDED_WITHIN_SECONDS = 180
_PAGE = 500
Event = dict[str, Any]


def spec(**changes: Any) -> dict[str, Any]:
    """Return an experiment that a few hundred users per arm decide."""
    return {
        "model": MODEL,
        "primary": {"name": "converted", "aggregation": "any", "baseline": 0.3, "minimumEffect": 0.15},
        "guardrails": [
            {"kind": "latency", "limitMillis": 100, "exceedancePercent": 20},
            {"kind": "errors", "limitPercent": 5},
            {"kind": "outcome", "name": "correct", "marginPercent": 10},
        ],
        "ramp": {"durationSeconds": 10, "steps": 50},
        "durationSeconds": 600,
        "expectedUnitsPerDay": 2_000_000,
        "minSampleSize": 100,
        "reconcileIntervalSeconds": INTERVAL_SECONDS,
        "noData": {"staleAfterSeconds": 60, "timeoutSeconds": 300},
        **changes,
    }


def version_of(cluster: Cluster, **fault: Any) -> str:
    """Register a version of the model with a known fault; return its number."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "model"
        write_variant(root, **fault)
        files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    return cluster.register_version(MODEL, files)


@contextmanager
def champion_kept(cluster: Cluster) -> Generator[str]:
    """Give the champion's version; afterwards no experiment is left and it is the champion again."""
    version = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    try:
        yield version
    finally:
        cluster.kubectl("delete", "abtests.mlplatform.dev", "--all", "--timeout=60s")
        # The controller ends what was deleted, and the last that it does is to release the candidate's slot.
        eventually(lambda: going_on(cluster) == [], within_seconds=120, what="every experiment is over")
        cluster.set_alias(MODEL, contracts.CHAMPION_ALIAS, version)
        eventually(lambda: cluster.gateway_weights(MODEL) == {STABLE: 1000}, within_seconds=60, what="all is on stable")
        eventually(lambda: cluster.serves(MODEL, STABLE, version), within_seconds=120, what=f"stable serves {version}")


def deploy(cluster: Cluster, slot: str, version: str) -> None:
    """Let a slot serve a version."""
    cluster.deploy(MODEL, slot, version)


def create(cluster: Cluster, name: str, **changes: Any) -> None:
    """Create an experiment as GitOps would."""
    manifest = {
        "apiVersion": "mlplatform.dev/v1alpha1",
        "kind": "ABTest",
        "metadata": {"name": name},
        "spec": spec(**changes),
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def status_of(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return an experiment's status."""
    return cluster.get("abtests.mlplatform.dev", name).get("status", {})


def reaches(cluster: Cluster, name: str, *phases: str, within_seconds: float = 60) -> None:
    """Wait until an experiment is in one of the phases."""
    what = f"{name} is {' or '.join(phases)}"
    eventually(lambda: status_of(cluster, name).get("phase") in phases, within_seconds=within_seconds, what=what)


def decided(cluster: Cluster, name: str, behaviour: Behaviour, *, concurrency: int = 8) -> dict[str, Any]:
    """Send users until the experiment is over; return its last status."""
    with Application(cluster, MODEL, behaviour, concurrency=concurrency) as application:
        reaches(cluster, name, *FINAL, within_seconds=_DECIDED_WITHIN_SECONDS)
    assert application.refused == []
    return status_of(cluster, name)


def going_on(cluster: Cluster) -> list[str]:
    """Return the names of experiments that are not over."""
    code, page = Api(cluster, "read").call("GET", "?active=true&limit=100")
    assert code == 200, page
    return [item["name"] for item in page["items"]]


def events(cluster: Cluster, name: str) -> Sequence[Event]:
    """Return all events of an experiment, oldest first, as the API gives them; none before it knows the experiment."""
    api, found = Api(cluster, "read"), list[Event]()
    after: int | None = 0
    while after is not None:
        code, page = api.call("GET", f"/{name}/history?after={after}&limit={_PAGE}")
        if code == 404:
            return []
        assert code == 200, page
        found += [item["event"] for item in page["items"]]
        after = page.get("nextAfter")
    return found


def of_type(found: Sequence[Event], *kinds: str) -> list[Event]:
    """Return the events of some types, in their order."""
    return [event for event in found if event["type"] in kinds]


@dataclass(frozen=True)
class Rollback:
    """How an automatic rollback went, by the controller's own record."""

    data_seconds: float
    """From the first user who could meet the candidate to the decision."""
    reaction_seconds: float
    """From the newest look that had not seen harm, so from before the crossing, until the candidate had weight 0."""

    def __str__(self) -> str:
        return (
            f"rolled back after {self.data_seconds:.1f} s of data, weight 0 at most "
            f"{self.reaction_seconds:.2f} s after the crossing"
        )


def rollback_of(found: Sequence[Event]) -> Rollback:
    """Return the times of the rollback in an experiment's record."""
    began = of_type(found, "EpochStarted")[0]["at"]
    looks = of_type(found, "DecisionMade")
    assert looks[-1]["decision"]["action"] == "roll back", looks[-1]["decision"]
    before = looks[-2]["at"] if len(looks) > 1 else began
    gone = next(event for event in of_type(found, "StepDone") if event["step"] == "weight_to_control")
    return Rollback(data_seconds=looks[-1]["at"] - began, reaction_seconds=gone["at"] - before)


def epochs_of(found: Sequence[Event]) -> list[tuple[float, float, dict[str, int]]]:
    """Return begin, end and weights of every stretch of time in which the weights were known; the last has no end."""
    started = of_type(found, "EpochStarted")
    ends = [event["at"] for event in started[1:]] + [float("inf")]
    all_of_them = zip(started, ends, strict=True)
    return [
        (event["at"], end, cast("dict[str, int]", event["weights"]))
        for event, end in all_of_them
        if any(event["weights"].values())
    ]


def moved_back(previous: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the users who met a treatment and now meet another slot."""
    return [user for user, slot in previous.items() if slot != STABLE and now.get(user, slot) != slot]
