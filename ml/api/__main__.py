"""`python -m ml.api`: serves the API in a pod until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

import httpx
import uvicorn
from fastapi import FastAPI

from ml.api.app import create_app
from ml.api.auth import Authenticator, TokenSource
from ml.api.beside import EndedError, beside
from ml.api.changes import StreamChanges
from ml.api.gathering import GatheredOutcomes
from ml.api.local_tokens import LocalTokens
from ml.api.oidc import OidcTokens
from ml.api.platform import DeclaredPlatform
from ml.api.ports import Ports
from ml.api.settings import Settings, SettingsError, load_settings
from ml.controller.daily_units import UnitsMeter
from ml.controller.requests import PrometheusRequests
from ml.events.audit import Audit
from ml.events.idempotency import Idempotency
from ml.events.outcomes import PostgresOutcomeStore
from ml.events.partitions import keep_retained
from ml.events.pool import DatabaseSettings, Pool, open_pool
from ml.events.ports import StoreUnavailableError
from ml.events.projector import Projector
from ml.events.queries import Queries
from ml.events.schema import SchemaTooNewError, migrate
from ml.events.store import PostgresEventStore
from ml.kubernetes import AB_TESTS, VIRTUAL_SERVICES, ApiError, Resources, in_cluster_client

_MIGRATE_AGAIN_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 10
_METRICS_SECONDS: Final = 10.0
_LARGEST_MESSAGE_BYTES: Final = 65_536
_log = logging.getLogger("ml.api")


def build_ports(
    settings: Settings, pool: Pool, cluster: httpx.AsyncClient, prometheus: httpx.AsyncClient, changes: StreamChanges
) -> Ports:
    """Return the real parts behind the API."""
    outcomes = PostgresOutcomeStore(pool)
    return Ports(
        events=PostgresEventStore(pool),
        queries=Queries(pool),
        outcomes=GatheredOutcomes(outcomes),
        idempotency=Idempotency(pool),
        audit=Audit(pool),
        tests=Resources(cluster, AB_TESTS, settings.namespace, manager="mlplatform-api"),
        platform=DeclaredPlatform(Resources(cluster, VIRTUAL_SERVICES, settings.namespace)),
        changes=changes,
        meter=UnitsMeter(outcomes, PrometheusRequests(prometheus)),
        clock=time.time,
    )


@contextlib.asynccontextmanager
async def running(
    settings: Settings, database: DatabaseSettings, cluster: httpx.AsyncClient, ended: Callable[[], None] = lambda: None
) -> AsyncGenerator[FastAPI]:
    """Yield the application with everything that runs beside it: migration, projector, listener.

    Args:
        settings: of the API.
        database: of the event store.
        cluster: a client for the Kubernetes API.
        ended: is called if one of those ends by itself; without it the application is not whole.
    """
    async with (
        open_pool(database, size=settings.database_pool_size) as pool,
        httpx.AsyncClient(follow_redirects=False) as issuer,
        httpx.AsyncClient(base_url=settings.prometheus_url, timeout=_METRICS_SECONDS, trust_env=False) as prometheus,
    ):
        changes = StreamChanges(pool)
        sources: list[TokenSource] = [LocalTokens(settings.tokens_dir)] if settings.tokens_dir else []
        if settings.oidc:
            sources.append(OidcTokens(settings.oidc, issuer))
        app = create_app(settings, build_ports(settings, pool, cluster, prometheus, changes), Authenticator(sources))
        async with beside(ended, {"upkeep of the store": keep(pool), "news of streams": changes.run()}):
            yield app


async def serve(
    settings: Settings,
    database: DatabaseSettings,
    cluster: httpx.AsyncClient,
    host: str = "0.0.0.0",  # noqa: S104 - a pod's address is not known; network policies say who reaches it
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        EndedError: something beside the requests ended, and with it the serving.
    """
    ended = asyncio.Event()
    async with cluster, running(settings, database, cluster, ended.set) as app:
        config = uvicorn.Config(
            app,
            host=host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ws_max_size=_LARGEST_MESSAGE_BYTES,
        )
        server = uvicorn.Server(config)
        stopping = asyncio.create_task(_stop_after(ended, server))
        try:
            await server.serve()
        finally:
            stopping.cancel()
    if ended.is_set():
        raise EndedError("something beside the requests ended, see the log: the process has to begin anew")


async def _stop_after(ended: asyncio.Event, server: uvicorn.Server) -> None:
    await ended.wait()
    server.should_exit = True


async def keep(pool: Pool) -> None:
    """Bring the schema up to date, then keep the read models up with the log and drop what is too old."""
    while True:
        try:
            await migrate(pool)
        except SchemaTooNewError as error:
            # While versions change, the newer ones look after the store; what this one can read it still serves.
            _log.warning("the upkeep of the store is left to a newer version: %s", error)
            await asyncio.Event().wait()
        except StoreUnavailableError as error:
            _log.warning("waiting for the database: %s", error)
            await asyncio.sleep(_MIGRATE_AGAIN_SECONDS)
        else:
            break
    await asyncio.gather(Projector(pool).run(), keep_retained(pool))


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Return the process's exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings, database = load_settings(environment), DatabaseSettings.from_environment(environment)
        asyncio.run(serve(settings, database, in_cluster_client()))
    except (SettingsError, ValueError, ApiError) as error:
        print(f"api: {error}", file=sys.stderr)
        return 2
    except EndedError as error:
        print(f"api: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
