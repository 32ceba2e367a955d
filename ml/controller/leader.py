"""What the one controller that acts does: keep the splits, reconcile the experiments, record pipeline runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import httpx

from ml.contracts import MODEL_LABEL
from ml.controller.config import Config
from ml.controller.documents import mapping
from ml.controller.gateways import ConfigDumps, ReadBack, Settled
from ml.controller.index import ProjectedIndex
from ml.controller.keeper import Backoffs, SplitKeeper
from ml.controller.loop import TICK_SECONDS, ControlLoop, Wakes
from ml.controller.metrics import ControllerMetrics
from ml.controller.notifications import OwnAppends, hear
from ml.controller.pipeline_runs import PipelineRecorder
from ml.controller.reconciler import Reconciler
from ml.controller.registry import MlflowRegistry
from ml.controller.requests import PrometheusRequests
from ml.controller.slots import ClusterSlots
from ml.controller.tests_api import AbTests
from ml.controller.traffic import Fence, Routes, SplitTraffic
from ml.controller.virtual_services import VirtualServices
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.pool import Pool
from ml.events.ports import StoreUnavailableError
from ml.events.queries import Queries
from ml.events.schema import migrate
from ml.events.store import PostgresEventStore
from ml.kubernetes import JOBS, PODS, ApiError, Resources

LOG: Final = logging.getLogger(__name__)


class Leader:
    """Made once per process; `lead` runs while this process is elected, each time with nothing remembered."""

    def __init__(
        self,
        config: Config,
        api: httpx.AsyncClient,
        http: httpx.AsyncClient,
        pool: Pool,
        *,
        wakes: Wakes,
        metrics: ControllerMetrics,
        fence: Fence,
    ) -> None:
        self._config = config
        self._api = api
        self._http = http
        self._pool = pool
        self._wakes = wakes
        self._metrics = metrics
        self._fence = fence
        self._virtual_services = VirtualServices(api, config.namespace)
        self.keeper = SplitKeeper(self._virtual_services, timeout_seconds=config.split_timeout_seconds, fence=fence)

    async def lead(self) -> None:
        """Act until cancelled."""
        self._metrics.leads(True)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_all())
                tasks.create_task(self._reconcile())
        finally:
            self._metrics.leads(False)

    async def _keep_all(self) -> None:
        """Keep every split once; from then on events tell."""
        for wait_seconds in Backoffs():
            try:
                bodies = await self._virtual_services.list()
            except ApiError as error:
                LOG.warning("VirtualServices not listed, trying again in %g s: %s", wait_seconds, error)
                await asyncio.sleep(wait_seconds)
            else:
                break
        else:
            return
        models = {str(mapping(body["metadata"].get("labels")).get(MODEL_LABEL, "")) for body in bodies}
        await asyncio.gather(*(self.keeper.keep(model) for model in models - {""}))

    async def _reconcile(self) -> None:
        await self._migrate()
        appends = OwnAppends(PostgresEventStore(self._pool))
        tests = AbTests(self._api, self._config.namespace, fence=self._fence)
        async with (
            httpx.AsyncClient(
                base_url=self._config.registry_url, timeout=self._http.timeout, trust_env=False
            ) as mlflow,
            httpx.AsyncClient(base_url=self._config.prometheus_url, timeout=10.0, trust_env=False) as prometheus,
            asyncio.TaskGroup() as tasks,
        ):
            loop = ControlLoop(self._reconciler(tests, appends, mlflow, prometheus), tests, self._wakes, self._metrics)
            tasks.create_task(hear(self._pool, appends, self._wakes.test))
            tasks.create_task(loop.run())
            tasks.create_task(self._pipeline_recorder().run(self._metrics.failed))

    def _pipeline_recorder(self) -> PipelineRecorder:
        jobs = Resources(self._api, JOBS, self._config.namespace)
        return PipelineRecorder(
            jobs, PostgresEventStore(self._pool), Queries(self._pool), publish=self._metrics.pipelines
        )

    def _reconciler(
        self, tests: AbTests, appends: OwnAppends, mlflow: httpx.AsyncClient, prometheus: httpx.AsyncClient
    ) -> Reconciler:
        config = self._config
        routes = Routes(self._virtual_services)
        own_pods = Resources(self._api, PODS, config.namespace)
        return Reconciler(
            tests=tests,
            traffic=SplitTraffic(
                self._virtual_services,
                routes,
                self._read_back(),
                timeout_seconds=config.split_timeout_seconds,
                fence=self._fence,
            ),
            slots=ClusterSlots(self._http, routes, own_pods),
            registry=MlflowRegistry(mlflow, fence=self._fence),
            requests=PrometheusRequests(prometheus),
            events=appends,
            outcomes=PostgresOutcomeStore(self._pool),
            index=ProjectedIndex(Queries(self._pool), config.namespace),
        )

    def _read_back(self) -> ReadBack:
        gateway = self._config.gateway
        if gateway.read_back == "written":
            return Settled(gateway.settle_seconds)
        return ConfigDumps(self._http, Resources(self._api, PODS, gateway.namespace), gateway.selector)

    async def _migrate(self) -> None:
        """Bring the event store's schema up to date, however long its database is away."""
        while True:
            try:
                await migrate(self._pool)
            except StoreUnavailableError as error:
                self._metrics.failed("events")
                LOG.warning("event store not ready, trying again: %s", error)
                await asyncio.sleep(TICK_SECONDS)
            else:
                return
