"""`python -m ml.controller`: runs the controller in a pod until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import AsyncExitStack

import httpx
import kopf

from ml.contracts import EXPERIMENT_CONTROLLER
from ml.controller.config import Config, ConfigError, load_config
from ml.controller.leader import Leader
from ml.controller.lease import Election
from ml.controller.loop import Wakes
from ml.controller.metrics import ControllerMetrics
from ml.controller.operator import Watcher, build_registry
from ml.controller.splits import FIELD_MANAGER
from ml.controller.tests_api import AbTests
from ml.controller.virtual_services import VirtualServices
from ml.events.pool import open_pool
from ml.kubernetes import LEASES, ApiError, Resources, in_cluster_client

# They write a line per request, probe and event; what the controller did is in its own lines.
_CHATTY = ("httpx", "aiohttp.access", "kopf.objects")
_ANSWER_SECONDS = 3.0
"""Longest wait for an answer: shorter than what a leader leaves between its last write and the end of its lease."""


async def run(config: Config, api: httpx.AsyncClient, stop: asyncio.Event) -> None:
    """Watch, and act while elected, until told to stop."""
    metrics = ControllerMetrics()
    election = Election(
        Resources(api, LEASES, config.namespace, manager=FIELD_MANAGER),
        name=EXPERIMENT_CONTROLLER,
        namespace=config.namespace,
        identity=config.identity,
    )
    wakes = Wakes()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False))
        pool = await stack.enter_async_context(open_pool(config.database))
        leader = Leader(config, api, http, pool, wakes=wakes, metrics=metrics, fence=election.fence)
        watcher = Watcher(leader.keeper, wakes, is_leader=lambda: election.is_leader)
        kinds = [VirtualServices(api, config.namespace), AbTests(api, config.namespace, fence=election.fence)]
        metrics.serve(config.metrics_port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(election.run(leader.lead, stop))
            await kopf.operator(
                registry=build_registry(kinds, watcher, started=lambda: _hear_signals(stop)),
                namespaces=[config.namespace],
                standalone=True,
                liveness_endpoint=f"http://0.0.0.0:{config.health_port}/healthz",
                stop_flag=stop,
            )
            stop.set()


async def _hear_signals(stop: asyncio.Event) -> None:
    """Stop everything at once at a signal: kopf would tell the election only after it has ended itself."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _run_in_pod(config: Config) -> None:
    async with in_cluster_client(timeout_seconds=_ANSWER_SECONDS) as api:
        await run(config, api, asyncio.Event())


def main() -> int:
    """Return the process's exit status."""
    kopf.configure(log_format=kopf.LogFormat.FULL)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(_run_in_pod(load_config(os.environ)))
    except (ConfigError, ApiError) as error:
        print(f"controller: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
