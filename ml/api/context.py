"""What a request is served with: settings, the parts behind the API, and who may ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from starlette.requests import HTTPConnection

from ml.api.auth import Authenticator, Principal
from ml.api.metrics import Metrics
from ml.api.ports import Ports
from ml.api.rates import Holdings, RateLimiter
from ml.api.settings import Settings

MOST_SUBSCRIPTIONS: Final = 50
"""Per client, over all its connections; each asks the database again and again."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """One application."""

    settings: Settings
    ports: Ports
    authenticator: Authenticator
    rates: RateLimiter
    metrics: Metrics
    subscriptions: Holdings = field(default_factory=lambda: Holdings("subscriptions", MOST_SUBSCRIPTIONS))


def context_of(connection: HTTPConnection) -> Context:
    """Return the application that serves a request."""
    return cast("Context", connection.app.state.context)


def principal_of(connection: HTTPConnection) -> Principal:
    """Return who asks; only on guarded routes."""
    return cast("Principal", connection.state.principal)
