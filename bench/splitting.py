"""The traffic split measured on real requests: share, stickiness, and weights that move under load."""

from __future__ import annotations

import threading

from scipy import stats

from local.lifecycle.platform import Platform
from ml import contracts
from tests.e2e.cluster import Answers, Cluster

_MODEL = contracts.RESEARCH_PATTERN_PREDICTOR
_STABLE, _CANDIDATE = contracts.STABLE_SLOT, contracts.DEFAULT_CANDIDATE_SLOT
_SHARE_REQUESTS = 30_000
_USERS = 20_000
_MOVING_REQUESTS = 20_000


def run(running: Platform) -> list[str]:
    """Return the lines of the report; the candidate slot serves the champion's version while it is measured."""
    cluster = Cluster(running)
    try:
        cluster.deploy(_MODEL, _CANDIDATE, cluster.alias_version(_MODEL, contracts.CHAMPION_ALIAS))
        return [_share(cluster), *_sticky(cluster), _moving(cluster)]
    finally:
        cluster.shift(_MODEL, {_STABLE: 100, _CANDIDATE: 0})
        cluster.delete_alias(_MODEL, _CANDIDATE)


def _share(cluster: Cluster) -> str:
    cluster.shift(_MODEL, {_STABLE: 90, _CANDIDATE: 10})
    answers = cluster.send(_MODEL, [None] * _SHARE_REQUESTS)
    observed = [answers.slots[_STABLE], answers.slots[_CANDIDATE]]
    p = stats.chisquare(observed, [0.9 * sum(observed), 0.1 * sum(observed)]).pvalue
    return f"90/10 over {_SHARE_REQUESTS} requests: {observed}, chi-square p = {p:.3f}, failed {answers.failed}"


def _sticky(cluster: Cluster) -> list[str]:
    users = [f"user-{number}" for number in range(_USERS)]
    previous: set[str] = set()
    lines: list[str] = []
    for percent in (10, 30, 50):
        cluster.shift(_MODEL, {_STABLE: 100 - percent, _CANDIDATE: percent})
        answers = cluster.send(_MODEL, users)
        treated = {user for user, slot in answers.slot_of_user.items() if slot == _CANDIDATE}
        lines.append(
            f"{_USERS} users at {percent} %: {100 * len(treated) / _USERS:.2f} % in the candidate, "
            f"{len(previous - treated)} left it, failed {answers.failed}"
        )
        previous = treated
    return lines


def _moving(cluster: Cluster) -> str:
    cluster.shift(_MODEL, {_STABLE: 100, _CANDIDATE: 0})
    results: list[Answers] = []
    load = threading.Thread(
        target=lambda: results.append(cluster.send(_MODEL, [None] * _MOVING_REQUESTS, concurrency=10))
    )
    load.start()
    for percent in (50, 100, 0):
        cluster.shift(_MODEL, {_STABLE: 100 - percent, _CANDIDATE: percent})
    load.join()
    return f"weights 0 -> 50 -> 100 -> 0 under {_MOVING_REQUESTS} requests: failed {results[0].failed}"
