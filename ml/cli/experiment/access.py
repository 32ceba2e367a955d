"""Finds the API of a platform and a token for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, TypeVar

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.experiment.client import Access, ApiClient
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.cli.session import act

_T = TypeVar("_T")
URL_VARIABLE: Final = "MLP_API_URL"
TOKEN_VARIABLE: Final = "MLP_API_TOKEN"  # noqa: S105 the name of a variable
Scope = Literal["read", "decide"]


async def with_api(
    connect: Callable[[], Connection],
    environment: Mapping[str, str],
    scope: Scope,
    action: Callable[[ApiClient], Awaitable[_T]],
) -> _T:
    """Do something with the API.

    Args:
        connect: finds the platform; not called when MLP_API_URL names the API.
        environment: may hold MLP_API_URL and MLP_API_TOKEN.
        scope: what the token must be good for.
        action: what to do.

    Raises:
        UserError: no platform, no token, or `action` failed.
    """
    url, token = environment.get(URL_VARIABLE, ""), environment.get(TOKEN_VARIABLE, "")
    if not all("!" <= letter <= "~" for letter in token):
        what = f"{TOKEN_VARIABLE} holds something other than visible ASCII characters, which no token has"
        raise UserError(what, f"set {TOKEN_VARIABLE} to the token alone, as it was given")
    if url:
        if not url.startswith(("http://", "https://")):
            raise UserError(f"{URL_VARIABLE}={url!r}: allowed is an address with http:// or https://", "correct it")
        if not token:
            raise UserError(f"{URL_VARIABLE} is set but {TOKEN_VARIABLE} is not", f"set {TOKEN_VARIABLE}")
        async with ApiClient(Access(url=url, token=token)) as client:
            return await action(client)

    async def through_gateway(kubectl: Kubectl, outputs: StackOutputs) -> _T:
        if not outputs.gateway.address:
            what = "the stack does not know the address of its gateway"
            raise UserError(what, f"set `gatewayAddress` in the stack's configuration, or {URL_VARIABLE}")
        known, host = token or await _token(kubectl, outputs, scope), outputs.hosts["api"]
        url = f"https://{host}" if outputs.gateway.tls else f"http://{outputs.gateway.address}"
        access = Access(url=url, token=known, host=host)
        async with ApiClient(access) as client:
            return await action(client)

    return await act(connect(), through_gateway)


async def _token(kubectl: Kubectl, outputs: StackOutputs, scope: Scope) -> str:
    if not outputs.api_tokens:
        raise UserError("the stack has no API", f"finish `make up` (or `pulumi up`), or set {URL_VARIABLE}")
    secret = await kubectl.secret(outputs.namespace, outputs.api_tokens)
    token = secret.get(scope, "")
    if not token:
        what = f"the Secret {outputs.api_tokens} has no token `{scope}`"
        raise UserError(what, f"set {TOKEN_VARIABLE} to a token of your identity provider")
    return token
