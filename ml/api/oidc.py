"""Tokens of an OpenID Connect issuer: JSON Web Tokens, checked with the keys that the issuer publishes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
import jwt

from ml.api.auth import SCOPES, IdentityUnavailableError, Principal
from ml.api.settings import OidcSettings
from ml.contracts.storable import why_not_storable

_KEYS_LIVE_SECONDS: Final = 600.0
_ASK_AGAIN_SECONDS: Final = 10.0
"""Unknown key ids make the keys be fetched anew, but not more often than this: anybody can invent key ids."""
_LEEWAY_SECONDS: Final = 60.0
_TIMEOUT_SECONDS: Final = 5.0
_MAX_KEYS_BYTES: Final = 262_144
_LONGEST_SUBJECT: Final = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Key:
    public: Any
    algorithm: str | None
    """The only one that it may be used with; None: any that suits the key."""


class OidcTokens:
    """The tokens of one issuer for one audience."""

    def __init__(
        self, settings: OidcSettings, client: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._keys: dict[str, _Key] = {}
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def recognise(self, token: str) -> Principal | None:
        """Return whose token it is; None if it is no good.

        Raises:
            IdentityUnavailableError: the issuer's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        algorithm = header.get("alg")
        if algorithm not in self._settings.algorithms:
            return None
        key = await self._key(str(header.get("kid", "")))
        if key is None or key.algorithm not in (None, algorithm):
            return None
        try:
            claims = jwt.decode(
                token,
                key=key.public,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "verify_signature": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _log.info("token refused: %s", type(error).__name__)
            return None
        return self._principal(claims)

    def _principal(self, claims: dict[str, Any]) -> Principal | None:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject.strip() or len(subject) > _LONGEST_SUBJECT:
            return None
        if why_not_storable(subject):
            return None  # it names who did something, in the log and in the audit
        held = claims.get(self._settings.scope_claim, "")
        words = held.split() if isinstance(held, str) else cast("list[object]", held) if isinstance(held, list) else []
        granted = {str(word) for word in words}
        return Principal(subject=subject, scopes=frozenset(scope for scope in SCOPES if scope in granted))

    async def _key(self, key_id: str) -> _Key | None:
        async with self._lock:
            now = self._clock()
            fresh = now - self._fetched_at < _KEYS_LIVE_SECONDS
            if fresh and key_id in self._keys:
                return self._keys[key_id]
            if now - self._asked_at >= _ASK_AGAIN_SECONDS:
                await self._fetch(now)
            elif not self._keys:
                raise IdentityUnavailableError("the token issuer's keys cannot be had")
            return self._keys.get(key_id)

    async def _fetch(self, now: float) -> None:
        self._asked_at = now
        try:
            response = await self._client.get(self._settings.jwks_url, timeout=_TIMEOUT_SECONDS)
            keys = _usable_keys(response.raise_for_status())
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            _log.warning("keys of the token issuer: %s: %s", type(error).__name__, error)
            if now - self._fetched_at >= _KEYS_LIVE_SECONDS:
                # Keys that may have been withdrawn are not trusted for ever.
                self._keys = {}
                raise IdentityUnavailableError("the token issuer's keys cannot be had") from error
            return
        self._keys, self._fetched_at = keys, now


def _usable_keys(response: httpx.Response) -> dict[str, _Key]:
    """Return the public signing keys by their id; those of an unknown kind are left out."""
    if len(response.content) > _MAX_KEYS_BYTES:
        raise ValueError(f"{len(response.content)} bytes; allowed are {_MAX_KEYS_BYTES}")
    document: Any = response.json()
    found: dict[str, _Key] = {}
    for entry in document.get("keys", []):
        if entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            found[str(entry.get("kid", ""))] = _Key(public=jwt.PyJWK(entry).key, algorithm=entry.get("alg"))
        except jwt.PyJWTError as error:
            _log.warning("a key of the token issuer is not used: %s", error)
    return found
