"""Tokens from a mounted folder: a file per scope, read again when it changes, so that they rotate without a restart."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from pathlib import Path
from typing import Final

from ml.api.auth import Principal, Scope

SHORTEST_TOKEN: Final = 32
_REREAD_SECONDS: Final = 5.0
_GRANTS: Final[dict[str, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "decide": frozenset({"read", "write", "decide"}),
}
"""Per file name: what its token may do."""
_log = logging.getLogger(__name__)


class LocalTokens:
    """The tokens of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[str, bytes] = {}
        self._read_at = float("-inf")

    async def recognise(self, token: str) -> Principal | None:
        """Return whose token it is, comparing every one of them in constant time; None if nobody's."""
        self._refresh()
        given = _digest(token)
        found: Principal | None = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = Principal(subject=f"local:{name}", scopes=_GRANTS[name])
        return found

    def _refresh(self) -> None:
        # Three small files; asking for their times would not be cheaper, and a Secret's files are links that move.
        if time.monotonic() - self._read_at < _REREAD_SECONDS:
            return
        self._read_at = time.monotonic()
        digests: dict[str, bytes] = {}
        for name in _GRANTS:
            token = self._token(name)
            if token:
                digests[name] = _digest(token)
        self._digests = digests

    def _token(self, name: str) -> str:
        try:
            token = (self._folder / name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("no token %s: %s", name, error)
            return ""
        if len(token) < SHORTEST_TOKEN or len(token.split()) != 1:
            _log.warning(
                "token %s is not used: allowed are at least %d characters without spaces", name, SHORTEST_TOKEN
            )
            return ""
        return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
