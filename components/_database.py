"""How a component reaches its database: which Secret, which access label, which variables."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._workload import env_from_secret

_VARIABLES = {
    "DATABASE_HOST": "host",
    "DATABASE_PORT": "port",
    "DATABASE_NAME": "dbname",
    "DATABASE_USER": "username",
    "DATABASE_PASSWORD": "password",
}


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """How a server reaches its database."""

    secret: pulumi.Input[str]
    """Name of a Secret with keys username, password, dbname, host and port."""
    fingerprint: pulumi.Input[str]
    """Changes when the password does."""
    label: str
    """Name of the service whose access label the pods carry."""


def database_env(access: DatabaseAccess) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which the platform's own programs find their database."""
    return [env_from_secret(variable, access.secret, key) for variable, key in _VARIABLES.items()]
