"""Reading and writing VirtualServices through the API server, with the pod's service account."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx

from ml.controller.splits import API_GROUP, API_VERSION, FIELD_MANAGER, PLURAL, JsonObject

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_SECONDS: Final = 10.0


class ApiError(Exception):
    """The API server did not do what was asked; the message holds its answer."""


class ConflictError(ApiError):
    """Somebody else changed or made the object in between; read it again and decide anew."""


class VirtualServices:
    """The VirtualServices of one namespace."""

    def __init__(self, client: httpx.AsyncClient, namespace: str) -> None:
        self._client = client
        self._group_url = f"/apis/{API_GROUP}/{API_VERSION}"
        self._url = f"{self._group_url}/namespaces/{namespace}/{PLURAL}"

    async def check_kind(self) -> None:
        """Make sure that the API server can be reached and knows the kind.

        Raises:
            ApiError: it cannot or does not.
        """
        kinds = await self._ask("GET", self._group_url)
        if not any(entry["name"] == PLURAL for entry in (kinds or {}).get("resources", [])):
            raise ApiError(f"the cluster does not know {PLURAL}.{API_GROUP}: install the Istio CRDs")

    async def get(self, name: str) -> JsonObject | None:
        """Return a VirtualService, or None when there is none of that name."""
        return await self._ask("GET", f"{self._url}/{name}")

    async def apply(self, manifest: JsonObject) -> None:
        """Write by server-side apply the fields that this controller owns.

        With a `resourceVersion` the write happens only if the object has not changed since; without one it
        takes no field that somebody else has set.

        Raises:
            ConflictError: it has changed, or such fields differ.
            ApiError: anything else.
        """
        metadata = manifest["metadata"]
        is_update = "resourceVersion" in metadata
        await self._ask(
            "PATCH",
            f"{self._url}/{metadata['name']}",
            params={"fieldManager": FIELD_MANAGER, "force": str(is_update).lower()},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(manifest),
        )

    async def _ask(self, method: str, url: str, **request: Any) -> JsonObject | None:
        try:
            response = await self._client.request(method, url, **request)
        except httpx.HTTPError as error:
            raise ApiError(f"{method} {url}: {type(error).__name__} {error}") from error
        if response.status_code == HTTPStatus.NOT_FOUND and method == "GET":
            return None
        if response.is_success:
            return response.json()
        message = f"{method} {url}: HTTP {response.status_code} {response.text.strip()[:500]}"
        raise ConflictError(message) if response.status_code == HTTPStatus.CONFLICT else ApiError(message)


class ServiceAccountToken(httpx.Auth):
    """Bearer token of the pod, read for each request since the kubelet renews the file."""

    def __init__(self, token_file: Path) -> None:
        self._token_file = token_file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token on a request."""
        request.headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        yield request


def in_cluster_client(account: Path = _ACCOUNT) -> httpx.AsyncClient:
    """Return a client for the API server of the cluster that this process runs in.

    Raises:
        ApiError: this process does not run in a pod with a service account.
    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    authority = account / "ca.crt"
    if not host or not authority.exists():
        raise ApiError(f"not in a pod with a service account: KUBERNETES_SERVICE_HOST={host!r}, {authority}")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return httpx.AsyncClient(
        base_url=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        verify=str(authority),
        auth=ServiceAccountToken(account / "token"),
        timeout=_TIMEOUT_SECONDS,
        trust_env=False,
    )
