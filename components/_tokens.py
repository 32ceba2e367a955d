"""Tokens that the platform signs itself, for servers that know the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Final

_EXPIRES_AT: Final = 4_102_444_800
"""2100: a token that has to be thrown away is thrown away with its key."""


def minio_metrics_token(user: str, secret_key: str) -> str:
    """Return the JSON Web Token (RFC 7519) by which MinIO lets one of its users read metrics."""
    header = {"alg": "HS512", "typ": "JWT"}
    claims = {"exp": _EXPIRES_AT, "iss": "prometheus", "sub": user}
    signed = b".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    signature = hmac.digest(secret_key.encode(), signed, hashlib.sha512)
    return (signed + b"." + _encoded(signature)).decode()


def _encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
