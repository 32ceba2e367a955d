"""The `ABTest` objects: `ml.controller.ports.Tests` for real. Only their status is ever written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from ml.controller.ports import AbTest, TestGoneError, UnavailableError
from ml.controller.splits import FIELD_MANAGER
from ml.controller.traffic import Fence
from ml.kubernetes import AB_TESTS, ApiError, NotFoundError, Resources


class AbTests:
    """The `ABTest` objects of one namespace."""

    def __init__(self, client: httpx.AsyncClient, namespace: str, *, fence: Fence) -> None:
        self._resources = Resources(client, AB_TESTS, namespace, manager=FIELD_MANAGER)
        self._fence = fence

    async def check_kind(self) -> None:
        """Make sure that the API server can be reached and knows the kind.

        Raises:
            ApiError: it cannot or does not.
        """
        await self._resources.check_kind()

    async def list(self) -> Sequence[AbTest]:
        """Return all of them.

        Raises:
            UnavailableError: the API server does not answer.
        """
        try:
            return [read_test(body) for body in await self._resources.list()]
        except ApiError as error:
            raise UnavailableError(f"ABTests: {error}") from error

    async def write_status(self, test: AbTest, status: Mapping[str, Any]) -> None:
        """Replace the status; nothing else of the object is touched.

        The uid is tested by the API server, so that the status of a deleted test never ends up on a new one of the
        same name.

        Raises:
            TestGoneError: it does not exist any more.
            UnavailableError: it is not known to have happened.
        """
        self._fence()
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": test.uid},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        try:
            await self._resources.edit(test.name, operations, subresource="status")
        except NotFoundError as error:
            raise TestGoneError(test.name) from error
        except ApiError as error:
            if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and await self._is_gone(test):
                raise TestGoneError(test.name) from error
            raise UnavailableError(f"status of {test.name}: {error}") from error

    async def _is_gone(self, test: AbTest) -> bool:
        try:
            body = await self._resources.get(test.name)
        except ApiError as error:
            raise UnavailableError(f"ABTest {test.name}: {error}") from error
        return body is None or body["metadata"].get("uid") != test.uid


def read_test(body: Mapping[str, Any]) -> AbTest:
    """Return an `ABTest` object as the controller sees it."""
    metadata = body["metadata"]
    return AbTest(
        uid=str(metadata["uid"]),
        name=str(metadata["name"]),
        namespace=str(metadata["namespace"]),
        generation=int(metadata.get("generation", 1)),
        resource_version=str(metadata.get("resourceVersion", "")),
        spec=body.get("spec") or {},
        status=body.get("status") or {},
        annotations=metadata.get("annotations") or {},
        created_at=datetime.fromisoformat(str(metadata["creationTimestamp"])).timestamp(),
        deleted=bool(metadata.get("deletionTimestamp")),
    )
