"""A Kubernetes API client of exactly the calls the provider needs, over one pool of HTTP connections."""

from __future__ import annotations

import json
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx

from local.provider.kubeconfig import Cluster
from local.provider.values import Object, as_list, as_object, pluck

FIELD_MANAGER: Final = "mlplatform-provider"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_CONNECTIONS: Final = httpx.Limits(max_connections=64, max_keepalive_connections=64)
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_ATTEMPTS: Final = 4
_RETRY_PAUSE_SECONDS: Final = 0.25


class ClusterUnreachableError(Exception):
    """No answer from the API server: nothing is known about what it holds."""


@dataclass
class ApiError(Exception):
    """The API server refused a request."""

    status: int
    reason: str
    """Kubernetes' machine-readable reason, for example `NotFound`; empty where the server gives none."""
    message: str
    details: Object = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return self.message

    @property
    def is_not_found(self) -> bool:
        """The object, its namespace or its kind does not exist."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def is_missing_namespace(self) -> bool:
        """The namespace that a request names does not exist."""
        return self.is_not_found and self.details.get("kind") == "namespaces"

    @property
    def is_conflict(self) -> bool:
        """Another field manager owns a field that was to be changed, or a precondition failed."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def conflicts(self) -> list[tuple[str, str]]:
        """Pairs of field and message, one for each field that another manager owns."""
        causes = [as_object(cause) for cause in as_list(self.details.get("causes"))]
        return [
            (str(cause.get("field", "")), str(cause.get("message", "")))
            for cause in causes
            if cause.get("reason") == "FieldManagerConflict"
        ]


class KubeClient:
    """Talks to one API server. Safe for use by many threads at once."""

    def __init__(self, cluster: Cluster) -> None:
        headers = {"Authorization": f"Bearer {cluster.token}"} if cluster.token else {}
        self._http = httpx.Client(
            base_url=cluster.server,
            verify=_tls_context(cluster),
            timeout=_TIMEOUT,
            limits=_CONNECTIONS,
            headers=headers,
            trust_env=False,
        )

    def get(self, path: str, params: Mapping[str, str] | None = None, *, accept: str = "application/json") -> Object:
        """Return the object at `path`.

        Raises:
            ApiError: the server refused; `is_not_found` if there is none.
            ClusterUnreachableError: the server did not answer.
        """
        return self._json("GET", path, params=params, headers={"Accept": accept})

    def find(self, path: str) -> Object | None:
        """Return the object at `path`, or None if there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise

    def list(self, path: str, **selectors: str) -> list[Object]:
        """Return the objects of a collection, filtered by `labelSelector` and `fieldSelector`."""
        answer = self.get(path, selectors)
        # Elements of a list do not say what they are; the list does.
        identity = {"apiVersion": answer.get("apiVersion"), "kind": str(answer.get("kind")).removesuffix("List")}
        return [{**identity, **as_object(item)} for item in as_list(answer.get("items"))]

    def apply(self, path: str, obj: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply `obj`: create it, or change the fields that it names."""
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            params["dryRun"] = "All"
        return self._json(
            "PATCH",
            path,
            params=params,
            content=json.dumps(obj).encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def delete(self, path: str, *, propagation: str, uid: str) -> None:
        """Ask for deletion of the object at `path`, if it still is the one with `uid`."""
        options = {"propagationPolicy": propagation, "preconditions": {"uid": uid}}
        self._json("DELETE", path, content=json.dumps(options).encode(), headers={"Content-Type": "application/json"})

    def text(self, path: str, params: Mapping[str, str]) -> str:
        """Return a plain-text document, such as a container's log."""
        return self._send("GET", path, params=params).text

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _json(self, method: str, path: str, **request: Any) -> Object:
        answer: Any = self._send(method, path, **request).json()
        return as_object(answer)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, again after a pause where the server is busy or dropped an idle connection.

        Every request made here can be repeated without harm: reads, applies, deletes of one uid.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            is_last = attempt == _ATTEMPTS
            try:
                response = self._http.request(method, path, **request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                if is_last:
                    raise ClusterUnreachableError(f"{self._http.base_url}: {error}") from error
            except httpx.TransportError as error:
                raise ClusterUnreachableError(f"{self._http.base_url}: {error}") from error
            else:
                if response.is_success:
                    return response
                if is_last or response.status_code not in _BUSY:
                    raise _api_error(response)
            time.sleep(_RETRY_PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")


def _api_error(response: httpx.Response) -> ApiError:
    try:
        status = as_object(response.json())
    except ValueError:
        status = {}
    return ApiError(
        status=response.status_code,
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or f"HTTP {response.status_code}: {response.text[:500]}"),
        details=as_object(pluck(status, "details")),
    )


def _tls_context(cluster: Cluster) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=cluster.ca.decode() if cluster.ca else None)
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cluster.client_certificate and cluster.client_key:
        # The standard library loads a client certificate from files only; this one is readable by us alone and gone
        # before the first request.
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(cluster.client_certificate + b"\n" + cluster.client_key)
            pem.flush()
            context.load_cert_chain(pem.name)
    return context
