"""What runs beside the requests: if a part of it ends, so does the process; if it stands still, metrics say so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from ml.api.__main__ import keep, main
from ml.api.beside import beside
from ml.events.migrations import STEPS
from ml.events.pool import connection, open_pool
from ml.events.projector import Projector
from ml.events.schema import migrate
from tests.ml.api.service import KubernetesStandIn, Service
from tests.support.ports import free_port
from tests.support.postgres import shared_postgres


def test_end_of_a_part_is_told_when_it_fails_or_just_returns(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise OSError("no more")

    async def end() -> None:
        pass

    async def told() -> None:
        for name, work in (("failing", fail()), ("ending", end())):
            ended = asyncio.Event()
            async with beside(ended.set, {name: work, "lasting": asyncio.sleep(60.0)}), asyncio.timeout(10):
                await ended.wait()
        quiet = asyncio.Event()
        async with beside(quiet.set, {"stopped": asyncio.sleep(60.0)}):
            await asyncio.sleep(0)
        assert not quiet.is_set()

    asyncio.run(told())
    assert [record.getMessage() for record in caplog.records] == [
        "failing ended before its time",
        "ending ended before its time",
    ]
    assert "no more" in caplog.text


@pytest.mark.slow
def test_process_ends_with_an_error_when_the_read_models_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = shared_postgres().new_database()

    async def fail(_projector: Projector) -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(Projector, "run", fail)
    cluster = httpx.AsyncClient(transport=httpx.MockTransport(KubernetesStandIn()), base_url="http://kubernetes")
    monkeypatch.setattr("ml.api.__main__.in_cluster_client", lambda: cluster)
    environment = {
        "NAMESPACE": "platform",
        "TOKENS_DIR": str(tmp_path),
        "API_PORT": str(free_port()),
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.database,
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
    }
    assert main(environment) == 1
    assert "upkeep of the store ended before its time" in caplog.text
    assert "nobody expected this" in caplog.text


@pytest.mark.slow
def test_upkeep_is_left_to_newer_versions_when_the_schema_is_theirs(caplog: pytest.LogCaptureFixture) -> None:
    """While versions change, a pod of the old one may start anew: it has to serve, and leaves the read models alone."""

    async def kept() -> None:
        async with open_pool(shared_postgres().new_database()) as pool:
            await migrate(pool)
            async with connection(pool) as lent:
                await lent.execute("INSERT INTO schema_steps VALUES (%s, now())", (len(STEPS) + 1,))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(keep(pool), 1.0)

    asyncio.run(kept())
    assert f"left to a newer version: the schema has {len(STEPS) + 1} steps" in caplog.text


@contextlib.contextmanager
def _own_service() -> Generator[Service]:
    service = Service()
    try:
        yield service
    finally:
        service.stop()


@pytest.mark.slow
def test_metrics_say_how_far_read_models_are_behind_when_an_event_cannot_be_applied() -> None:
    def lag(service: Service) -> set[str]:
        lines = httpx.get(f"{service.url}/metrics").raise_for_status().text.splitlines()
        return {line for line in lines if line.startswith("mlplatform_api_projection_lag_events{")}

    with _own_service() as service:
        service.seed()
        assert lag(service) == {
            f'mlplatform_api_projection_lag_events{{projection="{name}"}} 0.0' for name in ("experiments", "models")
        }
        with shared_postgres().connect(service.database.database) as administrator:
            administrator.execute("SELECT append_events('experiment-a', 0, ARRAY['X'], ARRAY['{\"type\": \"X\"}'])")
        assert lag(service) == {
            f'mlplatform_api_projection_lag_events{{projection="{name}"}} 1.0' for name in ("experiments", "models")
        }
        assert httpx.get(f"{service.url}/readyz").status_code == 200, "what is known already can still be read"
