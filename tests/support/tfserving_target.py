"""The server that the conformance checks talk to, and what all of them need."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Final

import httpx

TEXT: Final = "test data"
OTHER_TEXT: Final = "A library for reading image files."
TIMEOUT_SECONDS: Final = 30.0

_grpc: Any = importlib.import_module("grpc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A server to check.

    Attributes:
        rest_url: address of the REST API, without a path.
        grpc_address: `host:port` of the gRPC API.
        model: name of a served model with one string input named `input`.
        metrics_path: where Prometheus reads.
        headers: what every HTTP request must carry, such as the Host that a gateway routes by.
    """

    rest_url: str
    grpc_address: str
    model: str
    metrics_path: str = "/monitoring/prometheus/metrics"
    headers: dict[str, str] = dataclasses.field(default_factory=dict[str, str])

    def get(self, path: str) -> httpx.Response:
        """Return the answer to a GET of a path."""
        return httpx.get(f"{self.rest_url}{path}", headers=self.headers, timeout=TIMEOUT_SECONDS)

    def post(self, path: str, body: object) -> httpx.Response:
        """Return the answer to a POST of bytes as they are, or of anything else as JSON."""
        url = f"{self.rest_url}{path}"
        if isinstance(body, bytes):
            return httpx.post(url, content=body, headers=self.headers, timeout=TIMEOUT_SECONDS)
        return httpx.post(url, json=body, headers=self.headers, timeout=TIMEOUT_SECONDS)

    def predict(self, body: object, suffix: str = "") -> httpx.Response:
        """Return the answer to a predict request to the model."""
        return self.post(f"/v1/models/{self.model}{suffix}:predict", body)

    def version(self) -> int:
        """Return the highest available version."""
        states = self.get(f"/v1/models/{self.model}").json()["model_version_status"]
        return max(int(entry["version"]) for entry in states if entry["state"] == "AVAILABLE")

    def channel(self) -> Any:
        """Return a gRPC channel, to be used as a context."""
        return _grpc.insecure_channel(self.grpc_address)


def rows(*texts: object) -> dict[str, object]:
    """Return a predict request with one named instance for each text."""
    return {"instances": [{"input": text} for text in texts]}


def error_of(response: httpx.Response, status: int) -> str:
    """Return the message of an error response, after checking its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["error"], answer
    return str(answer["error"])
