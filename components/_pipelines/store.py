"""How the parts reach the platform's object store: own bucket, own key pair, in a Secret of their own namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components._accounts import Right
from components._network import ServicePeer
from components._pipelines.site import ARTIFACT_KEYS, ARTIFACT_SECRET, LAUNCHER_CONFIG, Part, Site

REGION: Final = "us-east-1"  # MinIO's own; only its presence matters
READ_KEYS: Final = Right(group="", resource="secrets", verbs=("get",), names=(ARTIFACT_SECRET,))
READ_LAUNCHER: Final = Right(group="", resource="configmaps", verbs=("get",), names=(LAUNCHER_CONFIG,))


@dataclass(frozen=True, kw_only=True)
class ArtifactStore:
    """The bucket that runs keep their artifacts and logs in."""

    access_key: str
    secret_key: pulumi.Input[str]
    fingerprint: pulumi.Input[str]
    """Changes when the secret key does."""
    bucket: str
    peer: ServicePeer

    @property
    def host(self) -> str:
        """Its name, which is known in every namespace."""
        return f"{self.peer.service}.{self.peer.namespace}.svc.cluster.local"

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.peer.port}"

    @property
    def root(self) -> str:
        """Where runs keep what they make, unless they say otherwise."""
        return f"minio://{self.bucket}/v2/artifacts"


def declare_keys(site: Site, part: Part, store: ArtifactStore) -> pulumi.Output[str]:
    """Declare the key pair and the launcher's configuration; return the name of the key pair's Secret."""
    access, secret = ARTIFACT_KEYS
    keys = site.secret(part, ARTIFACT_SECRET, {access: store.access_key, secret: store.secret_key})
    content = {"defaultPipelineRoot": store.root, "providers": yaml.safe_dump(_providers(store), sort_keys=False)}
    site.known_config(part, LAUNCHER_CONFIG, content)
    return keys


def secret_key_reference(key: str) -> Mapping[str, str]:
    """Return how a key of the key pair is named in Argo's configuration."""
    return {"name": ARTIFACT_SECRET, "key": key}


def _providers(store: ArtifactStore) -> Mapping[str, Any]:
    access, secret = ARTIFACT_KEYS
    reference = {"secretName": ARTIFACT_SECRET, "accessKeyKey": access, "secretKeyKey": secret}
    return {
        "minio": {
            "default": {
                "endpoint": store.endpoint,
                "region": REGION,
                "disableSSL": True,
                "forcePathStyle": True,
                "credentials": {"fromEnv": False, "secretRef": reference},
            }
        }
    }
