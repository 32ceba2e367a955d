"""Requests to the platform's HTTP services, with errors that a person understands."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

import httpx

from ml.cli.errors import UserError
from ml.cli.outputs import StackOutputs

_TIMEOUT_SECONDS: Final = 20.0
_LONGEST_QUOTE: Final = 300


def http_client(timeout_seconds: float, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client that goes to an address itself, whatever proxy the environment names."""
    return httpx.AsyncClient(timeout=timeout_seconds, headers=headers, verify=_trusted(), trust_env=False)


@cache
def _trusted() -> ssl.SSLContext:
    """Return whom HTTPS trusts; reading that anew for every client would take longer than a request on loopback."""
    return httpx.create_ssl_context(trust_env=False)


class Endpoint:
    """One address and the host name to ask it for."""

    def __init__(self, address: str, host: str, name: str, *, tls: bool = False) -> None:
        self.url = f"https://{address}" if tls else f"http://{address}"
        self._headers = {"Host": host}
        self._name = name

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer, whatever its status.

        Raises:
            UserError: there was no answer.
        """
        try:
            async with http_client(_TIMEOUT_SECONDS) as client:
                return await client.request(
                    method,
                    f"{self.url}{path}",
                    json=json,
                    content=content,
                    headers={**self._headers, **(headers or {})},
                )
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise UserError(f"{self._name} does not answer at {self.url}: {words}", "see `mlp status`") from None

    async def ask_well(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request that must succeed.

        Raises:
            UserError: there was no answer, or one with an error status.
        """
        answer = await self.ask(method, path, **request)
        if not answer.is_success:
            raise UserError(
                f"{self._name} answered {method} {path.split('?')[0]} with {answer.status_code}: {_quote(answer)}",
                "see `mlp status` and `mlp logs`",
            )
        return answer


def gateway_endpoint(outputs: StackOutputs, host: str) -> Endpoint:
    """Return the endpoint of one of the access hosts behind the gateway.

    Raises:
        UserError: the stack does not know its gateway's address.
    """
    if outputs.gateway.tls:
        # A certificate is for a name: it is asked for under that name alone.
        return Endpoint(outputs.hosts[host], outputs.hosts[host], "the gateway", tls=True)
    if not outputs.gateway.address:
        raise UserError(
            "the stack does not know the address of its gateway", "set `gatewayAddress` in the stack's configuration"
        )
    return Endpoint(outputs.gateway.address, outputs.hosts[host], "the gateway")


async def predict(
    endpoint: Endpoint, model: str, text: str, headers: Mapping[str, str] | None = None
) -> tuple[object, httpx.Response]:
    """Ask a model for one prediction over TF Serving's REST API.

    Returns:
        The prediction and the whole answer.

    Raises:
        UserError: no answer, an error status, or an answer without exactly one prediction.
    """
    answer = await endpoint.ask_well(
        "POST", f"/v1/models/{model}:predict", json={"instances": [{"input": text}]}, headers=headers
    )
    try:
        predictions = cast("list[object]", answer.json()["predictions"])
        (prediction,) = predictions
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{model} answered something that is no prediction: {_quote(answer)}", f"see `mlp logs {model}`"
        ) from None
    return prediction, answer


def _quote(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:_LONGEST_QUOTE] or "(empty)"
