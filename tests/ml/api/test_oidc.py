"""Tokens of an issuer, with keys from a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ml.api.auth import IdentityUnavailableError, Principal
from ml.api.oidc import OidcTokens
from ml.api.settings import OidcSettings
from tests.support.web_server import QuietHandler, served

ISSUER, AUDIENCE = "https://issuer.example", "mlplatform"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, kid: str, **fields: str) -> dict[str, Any]:
    algorithm: Any = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **fields}


class Issuer:
    """Publishes keys and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys = [public(RSA_KEY, "one", alg="RS256"), public(EC_KEY, "two")]
        self.asked = 0
        self.status = 200
        issuer = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = json.dumps({"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.handler = Handler
        self.url = ""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    with served(issuer.handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        yield issuer


def token(key: Any = RSA_KEY, kid: str = "one", algorithm: str = "RS256", **changes: Any) -> str:
    now = time.time()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann@example",
        "exp": now + 600,
        "iat": now,
        "scope": "openid read decide",
        **changes,
    }
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers={"kid": kid})


def recognise(
    issuer: Issuer, *tokens: str, clock: Any = time.monotonic, before: Any = None, **settings: Any
) -> list[Any]:
    """Return what each token is recognised as."""

    async def ask() -> list[Any]:
        async with httpx.AsyncClient() as client:
            fields: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url, **settings}
            source = OidcTokens(OidcSettings(**fields), client, clock)
            found: list[Any] = []
            for number, item in enumerate(tokens):
                if before:
                    before(number)
                try:
                    found.append(await source.recognise(item))
                except IdentityUnavailableError as error:
                    found.append(error)
            return found

    return asyncio.run(ask())


def b64(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def with_none(claims: dict[str, Any]) -> str:
    return f"{b64({'alg': 'none', 'kid': 'one'})}.{b64(claims)}."


def signed_with_the_public_key() -> str:
    """Signed by HMAC with the public key as the shared one: accepted by verifiers that trust the token's algorithm."""
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = f"{b64({'alg': 'HS256', 'kid': 'one'})}.{token().split('.')[1]}"
    signature = hmac.new(pem, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_a_token_is_recognised_with_its_scopes_when_all_is_right(issuer: Issuer) -> None:
    (found,) = recognise(issuer, token())
    assert found == Principal(subject="ann@example", scopes=frozenset({"read", "decide"}))


def test_another_kind_of_key_and_claim_serves_when_the_issuer_has_it(issuer: Issuer) -> None:
    ours = token(EC_KEY, "two", "ES256", scope=None, permissions=["write", "other"])
    (found,) = recognise(issuer, ours, scope_claim="permissions")
    assert found == Principal(subject="ann@example", scopes=frozenset({"write"}))


@pytest.mark.parametrize(
    "bad",
    [
        token(exp=time.time() - 120),
        token(exp=None),
        token(nbf=time.time() + 86_400, exp=time.time() + 90_000),  # still to come when a long run gets here
        token(iss="https://other.example"),
        token(iss=None),
        token(aud="other"),
        token(aud=None),
        token(sub=None),
        token(sub=""),
        token(sub="x" * 300),
        token(sub="a\x00b"),
        token(OTHER_KEY),
        token(kid="unknown"),
        token(algorithm="RS512"),
        token(EC_KEY, "one", "ES256"),
        token()[:-4] + "AAAA",
        with_none({"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": time.time() + 600, "scope": "decide"}),
        signed_with_the_public_key(),
        "a.b.c",
        "not-a-token",
        "",
        "..",
    ],
)
def test_a_token_is_nobodys_when_anything_is_wrong(issuer: Issuer, bad: str) -> None:
    assert recognise(issuer, bad) == [None]


def test_keys_are_asked_for_once_when_many_tokens_come(issuer: Issuer) -> None:
    found = recognise(issuer, *[token() for _ in range(20)], *[token(kid=f"made-up-{n}") for n in range(20)])
    assert [item is not None for item in found] == [True] * 20 + [False] * 20
    assert issuer.asked == 1


def test_a_new_key_is_found_when_the_issuer_changes_keys(issuer: Issuer) -> None:
    now = [0.0]

    def rotate(number: int) -> None:
        if number == 1:
            issuer.keys = [public(OTHER_KEY, "three")]
            now[0] += 11

    found = recognise(issuer, token(), token(OTHER_KEY, "three"), token(), clock=lambda: now[0], before=rotate)
    assert [item is not None for item in found] == [True, True, False]


def test_known_keys_serve_for_a_while_and_then_no_more_when_the_issuer_is_away(issuer: Issuer) -> None:
    now = [0.0]

    def fail(number: int) -> None:
        issuer.status = 200 if number == 0 else 500
        now[0] = (0.0, 300.0, 700.0, 705.0)[number]

    found = recognise(issuer, *[token() for _ in range(4)], clock=lambda: now[0], before=fail)
    assert [isinstance(item, Principal) for item in found] == [True, True, False, False]
    assert all(isinstance(item, IdentityUnavailableError) for item in found[2:])


def test_a_shared_key_is_never_used_when_the_issuer_publishes_one(issuer: Issuer) -> None:
    secret = b"k" * 32
    issuer.keys.append({"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")})
    ours = jwt.encode(
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": time.time() + 60}, secret, "HS256", {"kid": "shared"}
    )
    assert recognise(issuer, ours, algorithms=("RS256", "HS256")) == [None]
