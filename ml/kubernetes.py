"""A small asynchronous client of the Kubernetes API, with the pod's service account."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import httpx

JsonObject = dict[str, Any]
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_SECONDS: Final = 10.0
_PAGE_SIZE: Final = 500


class ApiError(Exception):
    """The API server did not do what was asked; the message holds its answer.

    Attributes:
        status: the HTTP status, None if there was no answer.
        document: Kubernetes' own `Status` object, empty if there was none.
    """

    def __init__(self, message: str, *, status: int | None = None, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.document = document or {}


class ConflictError(ApiError):
    """Somebody else changed or made the object in between; read it again and decide anew."""


class NotFoundError(ApiError):
    """The object to be changed does not exist."""


@dataclass(frozen=True)
class Kind:
    """A kind of objects that live in namespaces."""

    group: str
    """Empty for Kubernetes' core group."""
    version: str
    plural: str

    @property
    def group_url(self) -> str:
        """Path of the API group."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


AB_TESTS: Final = Kind("mlplatform.dev", "v1alpha1", "abtests")
VIRTUAL_SERVICES: Final = Kind("networking.istio.io", "v1", "virtualservices")
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases")
PODS: Final = Kind("", "v1", "pods")
JOBS: Final = Kind("batch", "v1", "jobs")


class Resources:
    """The objects of one kind in one namespace."""

    def __init__(self, client: httpx.AsyncClient, kind: Kind, namespace: str, *, manager: str = "mlplatform") -> None:
        self._client = client
        self._kind = kind
        self._manager = manager
        self._url = f"{kind.group_url}/namespaces/{quote(namespace, safe='')}/{kind.plural}"

    async def check_kind(self) -> None:
        """Make sure that the API server can be reached and knows the kind.

        Raises:
            ApiError: it cannot or does not.
        """
        kinds = await _read(self._client, self._kind.group_url)
        if not any(entry["name"] == self._kind.plural for entry in (kinds or {}).get("resources", [])):
            name = f"{self._kind.plural}.{self._kind.group}"
            raise ApiError(f"the cluster does not know {name}: its custom resource definition is missing")

    async def get(self, name: str) -> JsonObject | None:
        """Return an object, or None when there is none of that name."""
        return await _read(self._client, self._path(name))

    async def list(self, label_selector: str = "") -> list[JsonObject]:
        """Return all objects, or those with certain labels."""
        found: list[JsonObject] = []
        parameters = {"limit": str(_PAGE_SIZE), **({"labelSelector": label_selector} if label_selector else {})}
        while True:
            page = await _read(self._client, self._url, params=parameters) or {}
            found += cast("list[JsonObject]", page.get("items") or [])
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found
            parameters["continue"] = str(more)

    async def create(self, manifest: Mapping[str, Any]) -> JsonObject:
        """Make a new object.

        Raises:
            ConflictError: there is one of that name.
            ApiError: anything else.
        """
        return await self._write("POST", self._url, manifest)

    async def replace(self, manifest: Mapping[str, Any]) -> JsonObject:
        """Write a whole object, if it still has the resource version that the manifest carries.

        Raises:
            ConflictError: it has changed.
            NotFoundError: it does not exist.
            ApiError: anything else.
        """
        return await self._write("PUT", self._path(str(manifest["metadata"]["name"])), manifest)

    async def apply(self, manifest: Mapping[str, Any], *, force: bool) -> JsonObject:
        """Write by server-side apply the fields that the caller owns.

        With a `resourceVersion` the write happens only if the object has not changed since. Without `force` no
        field is taken that somebody else has set.

        Raises:
            ConflictError: it has changed, or such fields differ.
            ApiError: anything else.
        """
        url = self._path(str(manifest["metadata"]["name"]))
        return await self._write(
            "PATCH", url, manifest, content_type="application/apply-patch+yaml", params={"force": str(force).lower()}
        )

    async def patch(self, name: str, document: Mapping[str, Any], *, subresource: str = "") -> JsonObject:
        """Merge a document into an object or its subresource (`status`); None removes a field.

        Raises:
            NotFoundError: it does not exist.
            ApiError: anything else.
        """
        url = self._path(name) + (f"/{subresource}" if subresource else "")
        return await self._write("PATCH", url, document, content_type="application/merge-patch+json")

    async def edit(self, name: str, operations: Sequence[Mapping[str, Any]], *, subresource: str = "") -> JsonObject:
        """Change an object or its subresource by JSON patch (RFC 6902): all operations or none.

        Raises:
            NotFoundError: it does not exist.
            ApiError: with status 422 also if a `test` operation found something else.
        """
        url = self._path(name) + (f"/{subresource}" if subresource else "")
        return await self._write("PATCH", url, operations, content_type="application/json-patch+json")

    def _path(self, name: str) -> str:
        return f"{self._url}/{quote(name, safe='')}"

    async def _write(
        self,
        method: str,
        url: str,
        document: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> JsonObject:
        return await _ask(
            self._client,
            method,
            url,
            params={"fieldManager": self._manager, **(params or {})},
            headers={"Content-Type": content_type},
            content=json.dumps(document),
        )


async def _read(client: httpx.AsyncClient, url: str, **request: Any) -> JsonObject | None:
    try:
        return await _ask(client, "GET", url, **request)
    except NotFoundError:
        return None


async def _ask(client: httpx.AsyncClient, method: str, url: str, **request: Any) -> JsonObject:
    try:
        response = await client.request(method, url, **request)
    except httpx.HTTPError as error:
        raise ApiError(f"{method} {url}: {type(error).__name__} {error}") from error
    document = _document(response)
    if response.is_success and document is not None:
        return document
    reason = str((document or {}).get("message") or response.text.strip())
    message = f"{method} {url}: HTTP {response.status_code} {reason[:2000]}"
    kinds: dict[int, type[ApiError]] = {HTTPStatus.CONFLICT: ConflictError, HTTPStatus.NOT_FOUND: NotFoundError}
    raise kinds.get(response.status_code, ApiError)(message, status=response.status_code, document=document)


def _document(response: httpx.Response) -> JsonObject | None:
    try:
        parsed: object = response.json()
    except ValueError:
        return None
    return cast("JsonObject", parsed) if isinstance(parsed, dict) else None


class ServiceAccountToken(httpx.Auth):
    """Bearer token of the pod, read for each request since the kubelet renews the file."""

    def __init__(self, token_file: Path) -> None:
        self._token_file = token_file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token on a request."""
        request.headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        yield request


def in_cluster_client(account: Path = _ACCOUNT, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> httpx.AsyncClient:
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
        timeout=timeout_seconds,
        trust_env=False,
    )
