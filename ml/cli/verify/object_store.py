"""Uses the S3 store as one of its consumers does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TIMEOUT_SECONDS: Final = 5
_REGION: Final = "us-east-1"
"""MinIO's default; the signature needs one."""


async def put_get_delete_object(kubectl: Kubectl, namespace: str, store: ObjectStore, consumer: str, token: str) -> str:
    """Put an object, read it back and delete it with all its versions."""
    bucket = store.consumers[consumer].bucket
    secret = await kubectl.secret(namespace, store.consumers[consumer].secret)
    async with kubectl.forward(namespace, f"service/{store.service}", store.port) as port:
        await asyncio.to_thread(
            _use, f"http://127.0.0.1:{port}", secret["access-key"], secret["secret-key"], bucket, token
        )
    return f"in bucket {bucket}"


def _use(endpoint: str, access_key: str, secret_key: str, bucket: str, token: str) -> None:
    client: S3Client = boto3.client(  # pyright: ignore[reportUnknownMemberType] stubs of other services are absent
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=_REGION,
        config=Config(
            signature_version="s3v4",
            connect_timeout=_TIMEOUT_SECONDS,
            read_timeout=_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )
    key = f"mlp-verify/{token}"
    version = client.put_object(Bucket=bucket, Key=key, Body=token.encode()).get("VersionId", "null")
    try:
        read = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    finally:
        client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    if read != token.encode():
        raise UserError(f"put {token!r} and got {read!r}", "see `mlp logs object-store`")
