"""The API of pipelines, the agent that keeps its database up to date with the cluster, and the scheduler.

There is one pod of each, as upstream runs them: two API servers that find an empty database would both make its tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right
from components._network import allow_kubernetes_api
from components._pipelines.database import Account
from components._pipelines.site import (
    AGENT,
    API_GRPC_PORT,
    ARTIFACT_KEYS,
    DATABASE,
    DATABASE_PORT,
    METADATA_PORT,
    METADATA_SERVICE,
    METRICS_PORT,
    RUNNER,
    SCHEDULER,
    Part,
    Site,
    config_volume,
    fingerprint,
    token_volume,
)
from components._pipelines.store import READ_KEYS, READ_LAUNCHER, REGION, ArtifactStore
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    UNPRIVILEGED_UID,
    Resources,
    container,
    env,
    env_from_field,
    env_from_secret,
    http_probe,
    scratch_volume,
    tcp_probe,
)
from ml.contracts import PIPELINES_PORT, PIPELINES_SERVICE

_HEALTH: Final = "/apis/v2beta1/healthz"
_CONFIG_DIR: Final = "/config"
_TOKENS_DIR: Final = "/var/run/secrets/kubeflow/tokens"
_NOT_BROUGHT_ALONG: Final = "ml-pipeline-visualizationserver"
_WORKFLOWS: Final = ("create", "get", "list", "watch", "update", "patch", "delete")
_KEEP_WORKFLOWS_SECONDS: Final = 24 * 3600
"""How long a finished run's pods and their logs stay in the cluster."""
_AGENT_RESOURCES: Final = Resources(cpu_millis=100, memory_mib=256, memory_limit_mib=1024)
_SCHEDULER_RESOURCES: Final = Resources(cpu_millis=20, memory_mib=64, memory_limit_mib=512)

_SCHEDULES: Final = "scheduledworkflows"
_API_RIGHTS: Final = (
    Right(group="argoproj.io", resource="workflows", verbs=_WORKFLOWS),
    Right(group="kubeflow.org", resource=_SCHEDULES, verbs=("create", "get", "list", "update", "patch", "delete")),
    Right(group="", resource="pods", verbs=("get", "list", "delete")),
    Right(group="", resource="pods/log", verbs=("get", "list")),
    READ_KEYS,
    READ_LAUNCHER,
)
_AGENT_RIGHTS: Final = (
    Right(group="argoproj.io", resource="workflows", verbs=("get", "list", "watch", "update", "patch")),
    Right(group="kubeflow.org", resource=_SCHEDULES, verbs=("get", "list", "watch")),
    # Rights to the pipelines API, by the names under which it asks for them.
    Right(group="pipelines.kubeflow.org", resource=_SCHEDULES, verbs=("report",)),
    Right(group="pipelines.kubeflow.org", resource="workflows", verbs=("report",)),
    Right(group="pipelines.kubeflow.org", resource="runs", verbs=("reportMetrics", "readArtifact")),
)
_SCHEDULER_RIGHTS: Final = (
    Right(group="argoproj.io", resource="workflows", verbs=_WORKFLOWS),
    Right(group="kubeflow.org", resource=_SCHEDULES, verbs=_WORKFLOWS),
    Right(group="kubeflow.org", resource=f"{_SCHEDULES}/finalizers", verbs=("update",)),
    Right(group="pipelines.kubeflow.org", resource="runs", verbs=("create",)),
    Right(group="pipelines.kubeflow.org", resource="pipelines", verbs=("get",)),
    Right(group="", resource="events", verbs=("create", "patch")),
)


@dataclass(frozen=True, kw_only=True)
class ServerImages:
    """What the servers and the two helpers of each step run."""

    api: str
    agent: str
    scheduler: str
    driver: str
    launcher: str


@dataclass(frozen=True, kw_only=True)
class ServerArgs:
    """What the servers need to know."""

    images: ServerImages
    database: Account
    metadata_service: pulumi.Output[str]
    store: ArtifactStore
    keys: pulumi.Output[str]
    """Name of the Secret with the store's key pair."""
    cache: bool
    """Whether a step whose inputs were seen before is skipped."""
    resources: Resources


def declare_servers(site: Site, args: ServerArgs) -> pulumi.Output[str]:
    """Declare the three servers; return the name of the API's Service."""
    part = site.part(PIPELINES_SERVICE, args.images.api)
    service = site.service(part, PIPELINES_SERVICE, {"http-api": PIPELINES_PORT, "grpc-api": API_GRPC_PORT})
    database = site.secret(part, f"{PIPELINES_SERVICE}-database", {"password": args.database.password})
    _declare_api(site, part, args, database)
    site.offer(part, [PIPELINES_PORT, API_GRPC_PORT])
    site.policy(part, "kubernetes", allow_kubernetes_api(part.selector))
    _declare_agent(site, args.images.agent, service)
    _declare_scheduler(site, args.images.scheduler, service)
    return service


def configuration(args: ServerArgs) -> Mapping[str, Any]:
    """Return the API server's whole configuration except for secrets, which come by environment.

    It replaces the one in the image, which sends each run to an MLflow of somebody else's: there is no `plugins` here.
    """
    return {
        "DBDriverName": "mysql",
        "DBConfig": {
            "ConMaxLifeTime": "120s",
            "MySQLConfig": {"DBName": args.database.database, "GroupConcatMaxLen": "4194304"},
        },
        "ObjectStoreConfig": {"BucketName": args.store.bucket, "PipelinePath": "pipelines"},
        "InitConnectionTimeout": "6m",
        "DefaultPipelineRunnerServiceAccount": RUNNER,
        "CacheEnabled": str(args.cache).lower(),
        "CRON_SCHEDULE_TIMEZONE": "UTC",
        "ARCHIVE_CONFIG_LOG_FILE_NAME": "main.log",
        "ARCHIVE_CONFIG_LOG_PATH_PREFIX": "/logs",
    }


def _declare_api(site: Site, part: Part, args: ServerArgs, database: pulumi.Output[str]) -> None:
    files = {
        "config.json": json.dumps(configuration(args), indent=2),
        # No tutorials: they would pull images from all over the world when somebody tries one.
        "sample_config.json": json.dumps({"pipelines": [], "loadSamplesOnRestart": False}),
    }
    server = container(
        "server",
        args.images.api,
        args.resources,
        command=["/bin/apiserver"],
        args=[f"--config={_CONFIG_DIR}", f"--sampleconfig={_CONFIG_DIR}/sample_config.json", "-logtostderr=true"],
        env=_api_environment(args, database),
        ports={"http-api": PIPELINES_PORT, "grpc-api": API_GRPC_PORT},
        mounts={TMP_DIR: "tmp"},
        read_only_mounts={_CONFIG_DIR: "config"},
        # It waits for its database and makes or changes the tables before it answers.
        startup=http_probe(_HEALTH, "http-api", period_seconds=5, failures=120),
        readiness=http_probe(_HEALTH, "http-api", period_seconds=5),
        liveness=http_probe(_HEALTH, "http-api", period_seconds=10, failures=6),
    )
    site.deployment(
        part,
        [server],
        account=site.account(part, PIPELINES_SERVICE, _API_RIGHTS),
        uses=[DATABASE, METADATA_SERVICE],
        annotations={
            CONFIG_ANNOTATION: pulumi.Output.concat(
                args.database.fingerprint, "-", args.store.fingerprint, "-", fingerprint(files)
            )
        },
        volumes=[
            config_volume("config", site.config(part, f"{PIPELINES_SERVICE}-config", files)),
            scratch_volume("tmp", 256),
        ],
        watches_kinds=True,
    )


def _api_environment(args: ServerArgs, secret: pulumi.Output[str]) -> list[k8s.core.v1.EnvVarArgs]:
    database, store = args.database, args.store
    access_key, secret_key = ARTIFACT_KEYS
    plain: dict[str, pulumi.Input[str]] = {
        "DBCONFIG_MYSQLCONFIG_USER": database.user,
        "DBCONFIG_MYSQLCONFIG_HOST": database.service,
        "DBCONFIG_MYSQLCONFIG_PORT": str(DATABASE_PORT),
        "OBJECTSTORECONFIG_HOST": store.host,
        "OBJECTSTORECONFIG_PORT": str(store.peer.port),
        "OBJECTSTORECONFIG_SECURE": "false",
        "OBJECTSTORECONFIG_REGION": REGION,
        # Service links are off, so what they would say is said here.
        "METADATA_GRPC_SERVICE_SERVICE_HOST": args.metadata_service,
        "METADATA_GRPC_SERVICE_SERVICE_PORT": str(METADATA_PORT),
        # Without a value it does not start, though nothing asks for this old way of drawing.
        "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST": _NOT_BROUGHT_ALONG,
        "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT": "8888",
        "V2_DRIVER_IMAGE": args.images.driver,
        "V2_LAUNCHER_IMAGE": args.images.launcher,
        "DEFAULT_SECURITY_CONTEXT_RUN_AS_USER": str(UNPRIVILEGED_UID),
        "DEFAULT_SECURITY_CONTEXT_RUN_AS_GROUP": str(UNPRIVILEGED_UID),
        "DEFAULT_SECURITY_CONTEXT_RUN_AS_NON_ROOT": "true",
        # Pipelines of the first version are plain workflows: they could be any pods.
        "BLOCK_V1_PIPELINES": "true",
        "PUBLISH_LOGS": "true",
        "CLUSTER_DOMAIN": "cluster.local",
        "HOME": TMP_DIR,
    }
    return [
        env_from_field("POD_NAMESPACE", "metadata.namespace"),
        env_from_secret("DBCONFIG_MYSQLCONFIG_PASSWORD", secret, "password"),
        env_from_secret("OBJECTSTORECONFIG_ACCESSKEY", args.keys, access_key),
        env_from_secret("OBJECTSTORECONFIG_SECRETACCESSKEY", args.keys, secret_key),
        *(env(key, value) for key, value in plain.items()),
    ]


def _declare_agent(site: Site, image: str, api: pulumi.Output[str]) -> None:
    part = site.part(AGENT, image)
    # Without probes: it opens no port.
    agent = container(
        "agent",
        image,
        _AGENT_RESOURCES,
        command=["/bin/persistence_agent"],
        args=[
            "--logtostderr=true",
            f"--namespace={site.namespace_name}",
            f"--ttlSecondsAfterWorkflowFinish={_KEEP_WORKFLOWS_SECONDS}",
            "--executionType=Workflow",
            pulumi.Output.concat("--mlPipelineAPIServerName=", api),
        ],
        mounts={TMP_DIR: "tmp"},
        read_only_mounts={_TOKENS_DIR: "token"},
    )
    _declare_client(site, part, agent, "persistenceagent-sa-token", _AGENT_RIGHTS)


def _declare_scheduler(site: Site, image: str, api: pulumi.Output[str]) -> None:
    part = site.part(SCHEDULER, image)
    scheduler = container(
        "scheduler",
        image,
        _SCHEDULER_RESOURCES,
        command=["/bin/controller"],
        args=[
            "--logtostderr=true",
            f"--namespace={site.namespace_name}",
            pulumi.Output.concat("--mlPipelineAPIServerName=", api),
        ],
        env=[
            env("METRICS_PORT", str(METRICS_PORT)),
            env("CRON_SCHEDULE_TIMEZONE", "UTC"),
            env("RESYNC_INTERVAL_SECONDS", "30"),
            env("BLOCK_V1_PIPELINES", "true"),
        ],
        ports={"http-metrics": METRICS_PORT},
        mounts={TMP_DIR: "tmp"},
        read_only_mounts={_TOKENS_DIR: "token"},
        startup=tcp_probe("http-metrics", period_seconds=2, failures=120),
        readiness=tcp_probe("http-metrics", period_seconds=10),
        liveness=tcp_probe("http-metrics", period_seconds=30),
    )
    _declare_client(site, part, scheduler, "scheduledworkflow-sa-token", _SCHEDULER_RIGHTS)


def _declare_client(
    site: Site, part: Part, main: k8s.core.v1.ContainerArgs, token_file: str, rights: tuple[Right, ...]
) -> None:
    """Declare a server that watches workflows and calls the API with a token of its own."""
    site.deployment(
        part,
        [main],
        account=site.account(part, part.role, rights),
        uses=[PIPELINES_SERVICE],
        volumes=[token_volume("token", token_file), scratch_volume("tmp", 64)],
        watches_kinds=True,
    )
    site.policy(part, "kubernetes", allow_kubernetes_api(part.selector))
