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
"""Name of the file with the certificates of authorities, and its key in the platform's own ConfigMap."""
_AUTHORITY_DIR = "/etc/database-authority"
AUTHORITY_FILE = f"{_AUTHORITY_DIR}/{AUTHORITY_KEY}"
_AUTHORITY_VOLUME = "database-authority"
_FILE_MODE = 0o440


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Where the certificates lie of the authorities of which one has signed the server's."""

    name: pulumi.Input[str]
    """Of a ConfigMap with the key `authorities.pem`, unless `secret_key` is set."""
    secret_key: str | None = None
    """Key of the certificates where they lie in a Secret; nothing else of it gets into a pod."""


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """How a server reaches its database."""

    secret: pulumi.Input[str]
    """Name of a Secret with keys username, password, dbname, host and port."""
    fingerprint: pulumi.Input[str]
    """Changes when the password does."""
    label: str
    """Name of the service whose access label the pods carry."""
    authority: Authority | None = None
    """None for a server that offers no TLS."""


def database_env(access: DatabaseAccess) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which the platform's own programs find their database."""
    own = [env_from_secret(variable, access.secret, key) for variable, key in _VARIABLES.items()]
    return [*own, *authority_env(access.authority)]


def authority_env(authority: Authority | None) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which PostgreSQL's client library, in whatever program, insists on the right server."""
    if authority is None:
        return []
    return [env("PGSSLMODE", "verify-full"), env("PGSSLROOTCERT", AUTHORITY_FILE)]


def authority_mounts(authority: Authority | None) -> dict[str, str]:
    """Return where a container has the authorities."""
    return {} if authority is None else {_AUTHORITY_DIR: _AUTHORITY_VOLUME}


def authority_volumes(authority: Authority | None) -> list[k8s.core.v1.VolumeArgs]:
    """Return the volume with the authorities."""
    if authority is None:
        return []
    if authority.secret_key is None:
        source = k8s.core.v1.ConfigMapVolumeSourceArgs(name=authority.name)
        return [k8s.core.v1.VolumeArgs(name=_AUTHORITY_VOLUME, config_map=source)]
    secret = k8s.core.v1.SecretVolumeSourceArgs(
        secret_name=authority.name,
        items=[k8s.core.v1.KeyToPathArgs(key=authority.secret_key, path=AUTHORITY_KEY)],
        default_mode=_FILE_MODE,
    )
    return [k8s.core.v1.VolumeArgs(name=_AUTHORITY_VOLUME, secret=secret)]
