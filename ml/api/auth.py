"""Who asks, and what they may do: bearer tokens with scopes, local ones from a folder or an issuer's (OIDC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

Scope = Literal["read", "write", "decide"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
MAX_TOKEN_LENGTH: Final = 8192


class IdentityUnavailableError(Exception):
    """Whether a token is good cannot be told now."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Somebody who was recognised."""

    subject: str
    """Name for the record: `local:write`, or the issuer's subject."""
    scopes: frozenset[Scope]


class TokenSource(Protocol):
    """One way to recognise tokens."""

    async def recognise(self, token: str) -> Principal | None:
        """Return whose token it is; None if it is none of this source's, or no longer good.

        Raises:
            IdentityUnavailableError: it cannot be told now.
        """
        ...


class Authenticator:
    """Asks each source in turn."""

    def __init__(self, sources: Sequence[TokenSource]) -> None:
        self._sources = tuple(sources)

    async def authenticate(self, token: str) -> Principal | None:
        """Return whose token it is; None if nobody's.

        Raises:
            IdentityUnavailableError: a source that might know it does not answer.
        """
        if not 0 < len(token) <= MAX_TOKEN_LENGTH or not token.isascii():
            return None
        for source in self._sources:
            principal = await source.recognise(token)
            if principal is not None:
                return principal
        return None


def bearer_token(header: str | None) -> str | None:
    """Return the token of an `Authorization` header; None if it holds none."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
