"""The real OAuth2 Proxy with the arguments that a login is declared with: whom it lets through to the page.

Issuer and page are servers of this process on loopback; addresses and folders are replaced, nothing else. How the
session of a person begins at a real issuer is not shown.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from components.page_login import PageLogin
from local.progress import ConsoleProgress
from local.toolchain import ensure
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.ports import free_port
from tests.support.web_server import QuietHandler, served

pytestmark = pytest.mark.slow

HOST = "mlflow.example.org"
SECRETS = "/run/secrets/login"
READY_SECONDS = 60.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGERS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login that runs, and its issuer's address."""

    issuer: str
    port: int
    metrics_port: int

    def ask(self, path: str, headers: Mapping[str, str] | None = None, *, port: int | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        connection.request("GET", path, headers={"Host": HOST, **(headers or {})})
        found = connection.getresponse()
        return Answer(status=found.status, headers=found.headers, body=found.read())

    def ask_with(self, token: str, path: str = "/") -> Answer:
        return self.ask(path, {"Authorization": f"Bearer {token}"})

    def token(self, key: rsa.RSAPrivateKey = KEY, **claims: Any) -> str:
        now = time.time()
        stated = {
            "iss": self.issuer,
            "sub": "ci",
            "aud": "programs",
            "groups": ["engineers"],
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        return jwt.encode(stated, key, "RS256", headers={"kid": "k1"})


class Issuer(QuietHandler):
    def do_GET(self) -> None:
        own = f"http://{self.headers['Host']}"
        key = {**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k1", "use": "sig", "alg": "RS256"}
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": own,
                "authorization_endpoint": f"{own}/authorize",
                "token_endpoint": f"{own}/token",
                "jwks_uri": f"{own}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            },
            "/keys": {"keys": [key]},
        }
        _answer(self, documents.get(self.path))


class Page(QuietHandler):
    def do_GET(self) -> None:
        _answer(self, {"path": self.path, "host": self.headers["Host"]})


def _answer(request: BaseHTTPRequestHandler, document: object) -> None:
    request.send_response(404 if document is None else 200)
    request.send_header("Content-Type", "application/json")
    request.end_headers()
    request.wfile.write(json.dumps(document).encode())


def arguments(folder: Path, issuer: str, page: int, port: int, metrics_port: int) -> list[str]:
    """Return the declared arguments with what only a cluster has replaced."""
    graph = declare_one(PageLogin, instance="login-mlflow")
    replaced = {
        SECRETS: str(folder),
        "https://login.example.org": issuer,
        "http://mlflow.login-mlflow.svc.cluster.local:5000": f"http://127.0.0.1:{page}",
        "0.0.0.0:44180": f"127.0.0.1:{metrics_port}",
        "0.0.0.0:4180": f"127.0.0.1:{port}",
    }
    found: list[str] = pods.containers_of(graph.object("Deployment", "login-mlflow"))["login"]["args"]
    for old, new in replaced.items():
        found = [argument.replace(old, new) for argument in found]
    assert not any("example.org" in argument.replace(HOST, "") for argument in found)
    return found


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Generator[Login]:
    folder = tmp_path_factory.mktemp("login")
    (folder / "client-secret").write_text("what only the issuer and the login know", encoding="utf-8")
    (folder / "cookie-secret").write_text(base64.urlsafe_b64encode(os.urandom(32)).decode(), encoding="utf-8")
    binary = ensure(["oauth2-proxy"], ConsoleProgress()).bin("oauth2-proxy")
    with served(Issuer) as issuer, served(Page) as page, (folder / "log").open("wb") as log:
        running = Login(issuer=f"http://127.0.0.1:{issuer.server_port}", port=free_port(), metrics_port=free_port())
        given = arguments(folder, running.issuer, page.server_port, running.port, running.metrics_port)
        process = subprocess.Popen([str(binary), *given], stdout=log, stderr=log, cwd=folder)
        try:
            _await_ready(running, process, folder / "log")
            yield running
        finally:
            process.terminate()
            process.wait(READY_SECONDS)


def _await_ready(running: Login, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if running.ask("/ready").status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no login after {READY_SECONDS:.0f} s: {log.read_text(encoding='utf-8')[-2000:]}")


def test_probes_and_metrics_are_answered_without_asking_who_somebody_is(login: Login) -> None:
    assert login.ask("/ping").status == 200
    assert login.ask("/metrics", port=login.metrics_port).status == 200
    assert b"oauth2_proxy" in login.ask("/metrics", port=login.metrics_port).body


def test_person_is_sent_to_the_issuer_and_back_to_the_page_when_without_a_session(login: Login) -> None:
    answer = login.ask("/experiments?x=1")
    assert answer.status == 302
    address = urlsplit(str(answer.headers["Location"]))
    asked = parse_qs(address.query)
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{login.issuer}/authorize"
    assert asked["redirect_uri"] == [f"https://{HOST}/oauth2/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    cookie = str(answer.headers["Set-Cookie"])
    assert cookie.startswith("__Host-login_csrf=")
    assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("path", ["/api/2.0/mlflow/experiments/search", "/ajax-api/2.0/mlflow/x", "/apis/v2beta1/runs"])
def test_program_is_told_that_it_needs_a_token_when_it_has_none(login: Login, path: str) -> None:
    assert login.ask(path).status == 401


@pytest.mark.parametrize("audience", ["programs", "mlplatform", ["other", "programs"]])
def test_program_reaches_the_page_under_the_pages_own_name_when_its_token_is_the_issuers(
    login: Login, audience: object
) -> None:
    answer = login.ask_with(login.token(aud=audience), "/api/2.0/mlflow/x?y=1")
    assert answer.status == 200
    assert json.loads(answer.body) == {"path": "/api/2.0/mlflow/x?y=1", "host": HOST}


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "somebody else"},
        {"iss": "https://evil.example.org"},
        {"exp": 1_700_000_000},
        {"groups": ["visitors"]},
        {"groups": None},
        {"key": STRANGERS_KEY},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_program_is_refused_when_its_token_is_not_good(login: Login, wrong: dict[str, Any]) -> None:
    token = login.token(**wrong)
    assert login.ask_with(token).status == 403
    assert login.ask_with(token, "/api/2.0/mlflow/x").status == 403


def test_program_is_refused_when_its_token_is_not_signed(login: Login) -> None:
    claims = {"iss": login.issuer, "aud": "programs", "sub": "ci", "exp": time.time() + 300, "groups": ["engineers"]}
    assert login.ask_with(jwt.encode(claims, "", "none")).status == 403
    assert login.ask_with("opaque").status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "root", "X-Forwarded-Email": "root@example.org"},
        {"X-Auth-Request-User": "root"},
        {"X-Forwarded-Uri": "/ping", "X-Forwarded-Host": "elsewhere.example.org"},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1"},
        {"Cookie": "__Host-login=forged"},
    ],
    ids=lambda headers: "-".join(headers),
)
def test_nobody_gets_in_by_saying_who_they_are_when_headers_are_forged(login: Login, headers: dict[str, str]) -> None:
    answer = login.ask("/", headers)
    assert answer.status == 302
    assert HOST in parse_qs(urlsplit(str(answer.headers["Location"])).query)["redirect_uri"][0]
    assert login.ask("/api/2.0/mlflow/x", headers).status == 401


@pytest.mark.parametrize("path", ["/ping/../api/2.0/x", "//api/2.0/x", "/ping/x", "/oauth2/../api/2.0/x", "/ready?x"])
def test_page_is_not_reached_when_a_path_is_twisted(login: Login, path: str) -> None:
    answer = login.ask(path)
    assert b'"host"' not in answer.body
