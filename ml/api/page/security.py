"""Who may see and do what: the session cookie, the token of forms, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from ml.contracts import EXPERIMENTS_PATH

BASE_PATH: Final = f"{EXPERIMENTS_PATH}/ui"
COOKIE: Final = "mlp_page_token"
_SESSION_SECONDS: Final = 12 * 3600
_LONGEST_COOKIE_BYTES: Final = 4096
"""Browsers keep no larger one (RFC 6265, section 6.1), and say nothing about it."""
_ATTRIBUTES_BYTES: Final = 128
"""Room for the cookie's lifetime, path and flags."""
LONGEST_TOKEN: Final = _LONGEST_COOKIE_BYTES - _ATTRIBUTES_BYTES - len(f"{COOKIE}=")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def guarded(response: Response) -> Response:
    """Set the security headers of a page; a cache header that is there already stays."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def session_token(request: Request) -> str:
    """Return the access token that the browser keeps for the page; empty if there is none."""
    return request.cookies.get(COOKIE, "")


def keep_session(request: Request, response: Response, token: str) -> None:
    """Let the browser keep the token where no script and no other site can reach it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=_SESSION_SECONDS,
        path=BASE_PATH,
        httponly=True,
        samesite="strict",
        secure=_is_encrypted(request),
    )


def end_session(request: Request, response: Response) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(COOKIE, path=BASE_PATH, httponly=True, samesite="strict", secure=_is_encrypted(request))


def usable_token(text: str) -> str:
    """Return a token as it was typed, without spaces around it; empty if it cannot be one."""
    token = text.strip()
    printable = token.isascii() and token.isprintable() and not any(letter in token for letter in ' ",;\\')
    return token if printable and len(token) <= LONGEST_TOKEN else ""


def form_token(session: str) -> str:
    """Return what a form must bring back: only pages of this session can know it."""
    return hmac.new(session.encode(), b"mlplatform experiment page form", hashlib.sha256).hexdigest()


def is_own_form(session: str, given: str) -> bool:
    """Tell whether a form was rendered for this session."""
    return bool(session) and hmac.compare_digest(form_token(session).encode(), given.encode())


def is_foreign(request: Request) -> bool:
    """Tell whether the browser says that another site sent this request."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _is_encrypted(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
