"""The VirtualServices of the namespace, as the controller reads and writes them."""

from __future__ import annotations

import httpx

from ml.contracts import TRAFFIC_ROLE_LABEL
from ml.controller.splits import FIELD_MANAGER
from ml.kubernetes import VIRTUAL_SERVICES, JsonObject, Resources


class VirtualServices:
    """Root and split VirtualServices."""

    def __init__(self, client: httpx.AsyncClient, namespace: str) -> None:
        self._resources = Resources(client, VIRTUAL_SERVICES, namespace, manager=FIELD_MANAGER)

    async def check_kind(self) -> None:
        """Make sure that the API server can be reached and knows the kind.

        Raises:
            ApiError: it cannot or does not.
        """
        await self._resources.check_kind()

    async def get(self, name: str) -> JsonObject | None:
        """Return a VirtualService, or None when there is none of that name."""
        return await self._resources.get(name)

    async def list(self) -> list[JsonObject]:
        """Return all roots and splits."""
        return await self._resources.list(TRAFFIC_ROLE_LABEL)

    async def apply(self, manifest: JsonObject) -> None:
        """Write by server-side apply the fields that this controller owns.

        With a `resourceVersion` the write happens only if the object has not changed since; without one it
        takes no field that somebody else has set.

        Raises:
            ConflictError: it has changed, or such fields differ.
            ApiError: anything else.
        """
        await self._resources.apply(manifest, force="resourceVersion" in manifest["metadata"])
