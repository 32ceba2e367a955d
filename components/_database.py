"""How a component reaches its database: which Secret, which access label, which variables, whose certificate."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._workload import env, env_from_secret

_VARIABLES = {
    "DATABASE_HOST": "host",
    "DATABASE_PORT": "port",
    "DATABASE_NAME": "dbname",
    "DATABASE_USER": "username",
    "DATABASE_PASSWORD": "password",
}
AUTHORITY_KEY = "authorities.pem"
"""Key of the ConfigMap with the certificates of authorities, and so the name of the file."""
_AUTHORITY_DIR = "/etc/database-authority"
AUTHORITY_FILE = f"{_AUTHORITY_DIR}/{AUTHORITY_KEY}"
_AUTHORITY_VOLUME = "database-authority"


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """How a server reaches its database."""

    secret: pulumi.Input[str]
    """Name of a Secret with keys username, password, dbname, host and port."""
    fingerprint: pulumi.Input[str]
    """Changes when the password does."""
    label: str
    """Name of the service whose access label the pods carry."""
    authority: pulumi.Input[str] | None = None
    """Name of a ConfigMap with the authorities of which one must have signed the server's certificate. None for a
    server in the namespace, which offers no TLS."""


def database_env(access: DatabaseAccess) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which the platform's own programs find their database."""
    own = [env_from_secret(variable, access.secret, key) for variable, key in _VARIABLES.items()]
    return [*own, *authority_env(access.authority)]


def authority_env(authority: pulumi.Input[str] | None) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which PostgreSQL's client library, in whatever program, insists on the right server."""
    if authority is None:
        return []
    return [env("PGSSLMODE", "verify-full"), env("PGSSLROOTCERT", AUTHORITY_FILE)]


def authority_mounts(authority: pulumi.Input[str] | None) -> dict[str, str]:
    """Return where a container has the authorities."""
    return {} if authority is None else {_AUTHORITY_DIR: _AUTHORITY_VOLUME}


def authority_volumes(authority: pulumi.Input[str] | None) -> list[k8s.core.v1.VolumeArgs]:
    """Return the volume with the authorities."""
    if authority is None:
        return []
    source = k8s.core.v1.ConfigMapVolumeSourceArgs(name=authority)
    return [k8s.core.v1.VolumeArgs(name=_AUTHORITY_VOLUME, config_map=source)]
