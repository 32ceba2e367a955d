"""Aliases in a real MLflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest

from ml.controller.ports import UnavailableError
from ml.controller.registry import MlflowRegistry
from tests.support.tracking_server import shared_tracking_server

T = TypeVar("T")
MODEL = "controller_registry_model"
slow = pytest.mark.slow


def act(url: str, what: Callable[[MlflowRegistry], Awaitable[T]], fence: Callable[[], None] = lambda: None) -> T:
    async def inside() -> T:
        async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
            return await what(MlflowRegistry(client, fence=fence))

    return asyncio.run(inside())


@pytest.fixture(scope="module")
def url() -> str:
    server = shared_tracking_server()
    with httpx.Client(base_url=f"{server.url}/api/2.0/mlflow", timeout=30, trust_env=False) as client:
        client.post("/registered-models/create", json={"name": MODEL}).raise_for_status()
        for _ in range(2):
            client.post("/model-versions/create", json={"name": MODEL, "source": "s3://x/y"}).raise_for_status()
    return server.url


@slow
def test_alias_moves_and_goes_when_asked_for_also_twice(url: str) -> None:
    async def through(registry: MlflowRegistry) -> list[int | None]:
        found = [await registry.alias(MODEL, "champion")]
        for version in (1, 2, 2):
            await registry.set_alias(MODEL, "champion", version)
            found.append(await registry.alias(MODEL, "champion"))
        for _ in range(2):
            await registry.delete_alias(MODEL, "champion")
            found.append(await registry.alias(MODEL, "champion"))
        return found

    assert act(url, through) == [None, 1, 2, 2, None, None]


@slow
def test_there_is_no_alias_when_there_is_no_such_model(url: str) -> None:
    async def through(registry: MlflowRegistry) -> int | None:
        await registry.delete_alias("never_registered", "champion")
        return await registry.alias("never_registered", "champion")

    assert act(url, through) is None


@slow
def test_alias_is_refused_when_the_version_does_not_exist(url: str) -> None:
    with pytest.raises(UnavailableError, match="alias champion of controller_registry_model to 99"):
        act(url, lambda registry: registry.set_alias(MODEL, "champion", 99))
    assert act(url, lambda registry: registry.alias(MODEL, "champion")) is None


@slow
def test_nothing_is_written_when_this_process_does_not_lead(url: str) -> None:
    def fence() -> None:
        raise UnavailableError("not the leader")

    with pytest.raises(UnavailableError, match="not the leader"):
        act(url, lambda registry: registry.set_alias(MODEL, "champion", 1), fence)
    with pytest.raises(UnavailableError, match="not the leader"):
        act(url, lambda registry: registry.delete_alias(MODEL, "champion"), fence)
    assert act(url, lambda registry: registry.alias(MODEL, "champion")) is None


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, text="[]"),
        httpx.Response(200, json={"model_version": {}}),
        httpx.Response(500, json={"error_code": "INTERNAL_ERROR", "message": "x"}),
        httpx.Response(
            400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model name is too long"}
        ),
    ],
)
def test_nothing_is_taken_for_no_alias_when_the_answer_is_something_else(response: httpx.Response) -> None:
    async def inside() -> None:
        transport = httpx.MockTransport(lambda _: response)
        async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
            await MlflowRegistry(client, fence=lambda: None).alias(MODEL, "champion")

    with pytest.raises(UnavailableError, match="MLflow"):
        asyncio.run(inside())


def test_nothing_is_known_when_nobody_answers() -> None:
    with pytest.raises(UnavailableError, match="ConnectError"):
        act("http://127.0.0.1:9", lambda registry: registry.alias(MODEL, "champion"))
