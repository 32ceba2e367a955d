"""The web page of pipelines. It has no login of its own: it admits only what asks who somebody is before it.

Leaves out the viewer of TensorBoards and the drawing server: both run what a visitor sends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right
from components._network import GatewayPeer, allow_kubernetes_api
from components._pipelines import network
from components._pipelines.metadata import declare_proxy
from components._pipelines.site import (
    ARTIFACT_KEYS,
    METADATA_PROXY_PORT,
    METADATA_PROXY_SERVICE,
    UI_PORT,
    UI_SERVICE,
    Site,
)
from components._pipelines.store import READ_KEYS, ArtifactStore
from components._pipelines.workflows import LOG_KEY_FORMAT
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    env,
    env_from_field,
    env_from_secret,
    http_probe,
    scratch_volume,
)
from ml.contracts import PIPELINES_PORT, PIPELINES_SERVICE

_RESOURCES: Final = Resources(cpu_millis=20, memory_mib=128, memory_limit_mib=512)
_HEALTH: Final = "/apis/v2beta1/healthz"
_RIGHTS: Final = (
    Right(group="", resource="pods", verbs=("get", "list")),
    Right(group="", resource="pods/log", verbs=("get", "list")),
    Right(group="argoproj.io", resource="workflows", verbs=("get", "list")),
    READ_KEYS,
)


@dataclass(frozen=True, kw_only=True)
class PageArgs:
    """What the page needs to know."""

    image: str
    proxy_image: str
    api: pulumi.Output[str]
    """Name of the API's Service."""
    store: ArtifactStore
    keys: pulumi.Output[str]
    """Name of the Secret with the store's key pair."""
    front: GatewayPeer
    """Who alone may call it."""
    replicas: int


def declare_page(site: Site, args: PageArgs) -> pulumi.Output[str]:
    """Declare the page; return the name of its Service."""
    proxy = declare_proxy(site, args.proxy_image)
    part = site.part(UI_SERVICE, args.image)
    page = container(
        "page",
        args.image,
        _RESOURCES,
        command=["node", "dist/server.js", "../client/", str(UI_PORT)],
        env=_environment(args, proxy),
        ports={"http-page": UI_PORT},
        mounts={TMP_DIR: "tmp"},
        startup=http_probe(_HEALTH, "http-page", period_seconds=2, failures=120),
        readiness=http_probe(_HEALTH, "http-page", period_seconds=10),
        liveness=http_probe(_HEALTH, "http-page", period_seconds=30),
    )
    site.deployment(
        part,
        [page],
        account=site.account(part, UI_SERVICE, _RIGHTS),
        uses=[PIPELINES_SERVICE, METADATA_PROXY_SERVICE],
        annotations={CONFIG_ANNOTATION: args.store.fingerprint},
        volumes=[scratch_volume("tmp", 256)],
        replicas=args.replicas,
    )
    site.policy(part, "kubernetes", allow_kubernetes_api(part.selector))
    site.policy(
        part,
        "front",
        network.called_from_abroad(
            part.selector, [UI_PORT], clients=[network.pods(args.front.selector)], namespace=args.front.namespace
        ),
    )
    return site.service(part, UI_SERVICE, {"http-page": UI_PORT})


def _environment(args: PageArgs, proxy: pulumi.Output[str]) -> list[k8s.core.v1.EnvVarArgs]:
    access, secret = ARTIFACT_KEYS
    store = args.store
    plain: dict[str, pulumi.Input[str]] = {
        "ML_PIPELINE_SERVICE_HOST": args.api,
        "ML_PIPELINE_SERVICE_PORT": str(PIPELINES_PORT),
        "METADATA_ENVOY_SERVICE_SERVICE_HOST": proxy,
        "METADATA_ENVOY_SERVICE_SERVICE_PORT": str(METADATA_PROXY_PORT),
        "MINIO_HOST": store.peer.service,
        "MINIO_NAMESPACE": store.peer.namespace,
        "MINIO_PORT": str(store.peer.port),
        "MINIO_SSL": "false",
        "ARGO_ARCHIVE_LOGS": "true",
        "ARGO_ARCHIVE_BUCKETNAME": store.bucket,
        "ARGO_KEYFORMAT": LOG_KEY_FORMAT,
        "ALLOW_CUSTOM_VISUALIZATIONS": "false",
        "DISABLE_GKE_METADATA": "true",
        "HOME": TMP_DIR,
    }
    return [
        env_from_field("FRONTEND_SERVER_NAMESPACE", "metadata.namespace"),
        env_from_secret("MINIO_ACCESS_KEY", args.keys, access),
        env_from_secret("MINIO_SECRET_KEY", args.keys, secret),
        *(env(key, value) for key, value in plain.items()),
    ]
