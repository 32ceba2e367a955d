"""Who leads, with a real Kubernetes API: one at a time, whatever breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from ml.controller.lease import Election, Timing
from ml.controller.ports import UnavailableError
from ml.kubernetes import LEASES, Resources
from tests.ml.controller.cluster import ACCOUNT, NAMESPACE, Cluster
from tests.ml.controller.conftest import account_client
from tests.ml.controller.relay import Relay

pytestmark = pytest.mark.slow
TIMING = Timing(duration_seconds=3, acting_seconds=1.8, renew_seconds=0.5, retry_seconds=0.3)


class Candidate:
    """One that stands for election, and when it was at work."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self.stop = asyncio.Event()
        self.working = False
        self.times = 0
        self.task: asyncio.Task[None] | None = None

    async def lead(self) -> None:
        self.working, self.times = True, self.times + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False

    def start(self) -> None:
        self.task = asyncio.create_task(self.election.run(self.lead, self.stop))

    async def leave(self) -> None:
        self.stop.set()
        assert self.task is not None
        await self.task


@asynccontextmanager
async def candidate(
    cluster: Cluster, identity: str, *, server: str | None = None, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[Candidate]:
    async with account_client(cluster, server) as client:
        leases = Resources(client, LEASES, NAMESPACE, manager=ACCOUNT)
        found = Candidate(
            Election(leases, name=ACCOUNT, namespace=NAMESPACE, identity=identity, timing=TIMING, clock=clock)
        )
        found.start()
        try:
            yield found
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await found.leave()


async def until(condition: Callable[[], bool], within_seconds: float = 15.0) -> float:
    """Wait for a condition; return how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_seconds
        await asyncio.sleep(0.02)
    return time.monotonic() - started


def holder(cluster: Cluster) -> str:
    return json.loads(cluster.kubectl("get", "lease", ACCOUNT, "--output=json"))["spec"]["holderIdentity"]


@pytest.fixture(autouse=True)
def clean(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.kubectl("delete", "lease", "--all")


@pytest.fixture
def relay(cluster: Cluster) -> Iterator[Relay]:
    kubeconfig: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    address = urlsplit(str(kubeconfig["clusters"][0]["cluster"]["server"]))
    assert address.hostname is not None
    assert address.port is not None
    found = Relay((address.hostname, address.port))
    found.start()
    yield found
    found.cut()


def test_next_leads_within_three_seconds_when_the_leader_leaves(cluster: Cluster) -> None:
    async def act() -> float:
        async with candidate(cluster, "a") as first:
            await until(lambda: first.working)
            async with candidate(cluster, "b") as second:
                await asyncio.sleep(1)
                assert not second.working
                with pytest.raises(UnavailableError):
                    second.election.fence()
                first.election.fence()
                started = time.monotonic()
                await first.leave()
                assert not first.working
                await until(lambda: second.working)
                return time.monotonic() - started

    assert asyncio.run(act()) < 3
    assert holder(cluster) == ""


def test_leader_stops_before_another_begins_when_it_cannot_reach_the_api(cluster: Cluster, relay: Relay) -> None:
    async def act() -> None:
        async with (
            candidate(cluster, "a", server=f"https://127.0.0.1:{relay.port}") as first,
            candidate(cluster, "b") as second,
        ):
            await until(lambda: first.working or second.working)
            if second.working:  # it was first: the lease goes to the one that can be cut off
                await second.leave()
                await until(lambda: first.working)
                second.stop = asyncio.Event()
                second.start()
            relay.cut()
            both = False
            stopped: float | None = None
            while not second.working:
                both = both or (first.election.is_leader and second.election.is_leader)
                if stopped is None and not first.working:
                    stopped = time.monotonic()
                await asyncio.sleep(0.01)
            assert not both
            assert stopped is not None
            assert not first.working
            assert not first.election.is_leader
            relay.start()
            await asyncio.sleep(1)
            assert not first.working, "back again, it waits for its turn"

    asyncio.run(act())
    assert holder(cluster) == ""


def test_own_lease_is_taken_at_once_when_the_process_was_killed(cluster: Cluster) -> None:
    async def act() -> float:
        async with candidate(cluster, "a") as killed:
            await until(lambda: killed.working)
            assert killed.task is not None
            killed.election._acting_until = 0.0  # pyright: ignore[reportPrivateUsage] as a killed one it releases nothing
            killed.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await killed.task
            assert await asyncio.to_thread(holder, cluster) == "a"
            started = time.monotonic()
            async with candidate(cluster, "a") as again:
                await until(lambda: again.working)
                took = time.monotonic() - started
        return took

    assert asyncio.run(act()) < 2


def test_lease_is_respected_for_its_whole_duration_when_the_holders_clock_is_hours_behind(cluster: Cluster) -> None:
    """Its renewTime looks long past; only that it does not change any more counts, and that is waited for."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ACCOUNT},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 3, "renewTime": "2020-01-01T00:00:00.000000Z"},
    }
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(lease))

    async def act() -> float:
        async with candidate(cluster, "a") as waiting:
            return await until(lambda: waiting.working)

    assert 3 <= asyncio.run(act()) < 6


def test_work_begins_anew_when_it_ended_with_an_error(cluster: Cluster) -> None:
    async def act() -> int:
        async with candidate(cluster, "a") as leader:
            await until(lambda: leader.working)

            async def fail() -> None:
                leader.times += 1
                raise RuntimeError("broken")

            usual, leader.lead = leader.lead, fail  # pyright: ignore[reportAttributeAccessIssue] for this test
            await leader.leave()
            leader.stop = asyncio.Event()
            leader.start()
            await until(lambda: leader.times >= 3)
            leader.lead = usual  # pyright: ignore[reportAttributeAccessIssue] for this test
            return leader.times

    assert asyncio.run(act()) >= 3
