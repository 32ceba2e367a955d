"""The API's settings, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml.contracts import API_PORT, PROMETHEUS_PORT, PROMETHEUS_SERVICE

_NUMBERS: Final = {
    "API_PORT": (API_PORT, 1, 65535),
    "DATABASE_POOL_SIZE": (8, 2, 100),
    "RATE_READS_PER_SECOND": (50, 1, 100_000),
    "RATE_WRITES_PER_SECOND": (10, 1, 100_000),
    "RATE_OUTCOMES_PER_SECOND": (5000, 1, 1_000_000),
}
"""Per variable: default, smallest and largest value."""
_PROMETHEUS: Final = f"http://{PROMETHEUS_SERVICE}:{PROMETHEUS_PORT}"
_OIDC: Final = ("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_JWKS_URL")
ALLOWED_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures with a public key only: with a shared key the verifier could sign, and `none` signs nothing."""


class SettingsError(ValueError):
    """Settings are missing or out of range; the message names all of them."""


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """Whose tokens are accepted besides the local ones."""

    issuer: str
    audience: str
    jwks_url: str
    scope_claim: str = "scope"
    algorithms: tuple[str, ...] = ("RS256", "ES256")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one client may ask for, on average; twice as much at once."""

    reads_per_second: int = 50
    writes_per_second: int = 10
    outcomes_per_second: int = 5000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the API serves and for whom."""

    namespace: str
    """Namespace of the `ABTest` objects."""
    port: int = API_PORT
    public_host: str = ""
    """Host name under which clients come; empty: any."""
    tokens_dir: Path | None = None
    """Folder with a file per local token: `read`, `write`, `decide`."""
    oidc: OidcSettings | None = None
    rates: Rates = Rates()
    graphiql: bool = False
    """Whether browsers get an editor for GraphQL."""
    database_pool_size: int = 8
    prometheus_url: str = _PROMETHEUS


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: names every variable that is missing or wrong, its value and what is allowed.
    """
    problems: list[str] = []
    numbers = {name: _number(name, environment, problems) for name in _NUMBERS}
    graphiql = environment.get("GRAPHIQL", "false")
    if graphiql not in ("true", "false"):
        problems.append(f"GRAPHIQL={graphiql!r}: allowed are true and false")
    tokens = environment.get("TOKENS_DIR", "")
    oidc = _oidc(environment, problems)
    if not tokens and oidc is None:
        problems.append("TOKENS_DIR and OIDC_ISSUER are not set: allowed is at least one source of tokens")
    settings = Settings(
        namespace=_required("NAMESPACE", "the namespace of the ABTest objects", environment, problems),
        port=numbers["API_PORT"],
        public_host=environment.get("PUBLIC_HOST", "").strip(),
        tokens_dir=Path(tokens) if tokens else None,
        oidc=oidc,
        rates=Rates(
            reads_per_second=numbers["RATE_READS_PER_SECOND"],
            writes_per_second=numbers["RATE_WRITES_PER_SECOND"],
            outcomes_per_second=numbers["RATE_OUTCOMES_PER_SECOND"],
        ),
        graphiql=graphiql == "true",
        database_pool_size=numbers["DATABASE_POOL_SIZE"],
        prometheus_url=environment.get("PROMETHEUS_URL", "").strip() or _PROMETHEUS,
    )
    if not re.fullmatch(r"https?://[^\s/]+/?", settings.prometheus_url):
        problems.append(f"PROMETHEUS_URL={settings.prometheus_url!r}: allowed is an address such as http://HOST:PORT")
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _required(name: str, meaning: str, environment: Mapping[str, str], problems: list[str]) -> str:
    value = environment.get(name, "").strip()
    if not value:
        problems.append(f"{name} is not set: it names {meaning}")
    return value


def _number(name: str, environment: Mapping[str, str], problems: list[str]) -> int:
    default, low, high = _NUMBERS[name]
    written = environment.get(name, str(default))
    number = int(written) if written.isascii() and written.isdigit() and len(written) < 10 else low - 1
    if not low <= number <= high:
        problems.append(f"{name}={written!r}: allowed is a whole number from {low} to {high}")
    return number


def _oidc(environment: Mapping[str, str], problems: list[str]) -> OidcSettings | None:
    given = {name: environment.get(name, "").strip() for name in _OIDC}
    if not any(given.values()):
        return None
    missing = [name for name, value in given.items() if not value]
    if missing:
        problems.append(f"{', '.join(missing)} not set: allowed are all of {', '.join(_OIDC)} or none")
    if not given["OIDC_JWKS_URL"].startswith(("https://", "http://")):
        problems.append(f"OIDC_JWKS_URL={given['OIDC_JWKS_URL']!r}: allowed is an address that begins with https://")
    algorithms = tuple(part.strip() for part in environment.get("OIDC_ALGORITHMS", "RS256,ES256").split(","))
    unknown = sorted(set(algorithms) - ALLOWED_ALGORITHMS)
    if unknown:
        problems.append(f"OIDC_ALGORITHMS={unknown}: allowed are {sorted(ALLOWED_ALGORITHMS)}")
    return OidcSettings(
        issuer=given["OIDC_ISSUER"],
        audience=given["OIDC_AUDIENCE"],
        jwks_url=given["OIDC_JWKS_URL"],
        scope_claim=environment.get("OIDC_SCOPE_CLAIM", "scope").strip() or "scope",
        algorithms=algorithms,
    )
