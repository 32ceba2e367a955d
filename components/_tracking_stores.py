"""How MLflow is told of its two stores: the database of experiments and models, and the bucket of artifacts."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._database import DatabaseAccess, authority_env
from components._workload import env, env_from_secret

_POOL_SIZE = 5
_POOL_OVERFLOW = 5
_REGION = "us-east-1"  # MinIO's own; only its presence matters


@dataclass(frozen=True, kw_only=True)
class BucketAccess:
    """How the server reaches its bucket."""

    secret: pulumi.Input[str]
    """Name of a Secret with keys access-key and secret-key."""
    bucket: str
    endpoint: str
    fingerprint: pulumi.Input[str]
    """Changes when the secret key does."""
    label: str
    """Name of the service whose access label the pods carry."""


@dataclass(frozen=True, kw_only=True)
class CloudBucket:
    """A bucket of the cloud, which the server's pods open by being who they are: there is no key."""

    bucket: str
    region: str


def database_env(database: DatabaseAccess) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which MLflow finds its database and keeps few connections to it."""
    keys = ("username", "password", "host", "port", "dbname")
    return [
        *(env_from_secret(f"DATABASE_{key.upper()}", database.secret, key) for key in keys),
        # The driver is spelled out: without it SQLAlchemy 2.1 takes another one, which is not installed.
        env(
            "MLFLOW_BACKEND_STORE_URI",
            "postgresql+psycopg2://$(DATABASE_USERNAME):$(DATABASE_PASSWORD)"
            "@$(DATABASE_HOST):$(DATABASE_PORT)/$(DATABASE_DBNAME)",
        ),
        env("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", str(_POOL_SIZE)),
        env("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", str(_POOL_OVERFLOW)),
        *authority_env(database.authority),
    ]


def artifact_env(artifacts: BucketAccess | CloudBucket) -> list[k8s.core.v1.EnvVarArgs]:
    """Return the variables by which MLflow opens its bucket."""
    if isinstance(artifacts, CloudBucket):
        return [env("AWS_DEFAULT_REGION", artifacts.region)]
    return [
        env_from_secret("AWS_ACCESS_KEY_ID", artifacts.secret, "access-key"),
        env_from_secret("AWS_SECRET_ACCESS_KEY", artifacts.secret, "secret-key"),
        env("AWS_DEFAULT_REGION", _REGION),
        env("MLFLOW_S3_ENDPOINT_URL", artifacts.endpoint),
        env("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "path"),
    ]
