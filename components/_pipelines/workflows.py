"""Argo's workflow controller, which turns a run into pods, and the account that these pods run as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from components._accounts import Right
from components._network import allow_kubernetes_api
from components._pipelines.site import (
    ARTIFACT_KEYS,
    METRICS_PORT,
    RUNNER,
    WORKFLOW_CONTROLLER,
    Site,
    fingerprint,
)
from components._pipelines.store import (
    READ_KEYS,
    READ_LAUNCHER,
    REGION,
    ArtifactStore,
    secret_key_reference,
)
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    UNPRIVILEGED_UID,
    Resources,
    container,
    env_from_field,
    http_probe,
    scratch_volume,
)

LOG_KEY_FORMAT: Final = (
    "logs/{{workflow.name}}/{{workflow.creationTimestamp.Y}}/{{workflow.creationTimestamp.m}}"
    "/{{workflow.creationTimestamp.d}}/{{pod.name}}"
)
"""Where in the bucket a step's log goes; the page finds it by the same rule."""

_HEALTH_PORT: Final = 6060
_RESOURCES: Final = Resources(cpu_millis=100, memory_mib=256, memory_limit_mib=1024)
_EXECUTOR_USER: Final = 65532
_CONTAINER_SECURITY: Final = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_GROUP: Final = "argoproj.io"
_CONTROLLER_RIGHTS: Final = (
    Right(group="coordination.k8s.io", resource="leases", verbs=("create", "get", "update")),
    Right(group="", resource="pods", verbs=("create", "get", "list", "watch", "update", "patch", "delete")),
    # To stop a running step: it signals the process, there is no other way in.
    Right(group="", resource="pods/exec", verbs=("create",)),
    Right(group="", resource="configmaps", verbs=("get", "list", "watch")),
    Right(group="", resource="persistentvolumeclaims", verbs=("create", "get", "update", "delete")),
    Right(group="", resource="persistentvolumeclaims/finalizers", verbs=("update",)),
    Right(group="", resource="serviceaccounts", verbs=("get", "list")),
    Right(group="", resource="events", verbs=("create", "patch")),
    *(
        Right(
            group=_GROUP,
            resource=resource,
            verbs=("create", "get", "list", "watch", "update", "patch", "delete"),
        )
        for resource in ("workflows", "workflowtasksets", "workflowartifactgctasks")
    ),
    Right(group=_GROUP, resource="workflows/finalizers", verbs=("update",)),
    Right(group=_GROUP, resource="workflowtasksets/finalizers", verbs=("update",)),
    Right(group=_GROUP, resource="workflowtaskresults", verbs=("list", "watch", "deletecollection")),
    # It watches these two, whether there are any or not.
    Right(group=_GROUP, resource="workflowtemplates", verbs=("get", "list", "watch")),
    Right(group=_GROUP, resource="cronworkflows", verbs=("get", "list", "watch")),
)
_STEP_RIGHTS: Final = (
    # How a step tells its result, where it finds its bucket, and the volumes that a pipeline may ask for.
    Right(group=_GROUP, resource="workflowtaskresults", verbs=("create", "patch")),
    READ_LAUNCHER,
    READ_KEYS,
    Right(group="", resource="pods", verbs=("get", "list")),
    Right(group="", resource="persistentvolumeclaims", verbs=("create", "get", "list", "delete")),
)


def declare_workflows(
    site: Site, *, image: str, executor_image: str, store: ArtifactStore, replicas: int, parallel_runs: int | None
) -> None:
    """Declare the controller with its configuration, and the steps' account."""
    part = site.part(WORKFLOW_CONTROLLER, image)
    account = site.account(part, WORKFLOW_CONTROLLER, _CONTROLLER_RIGHTS)
    content = {key: yaml.safe_dump(value, sort_keys=False) for key, value in configuration(store).items()}
    if parallel_runs is not None:
        # Of the namespace, which is all that it sees. What waits has no pods yet.
        content["parallelism"] = str(parallel_runs)
    config = site.config(part, f"{WORKFLOW_CONTROLLER}-config", content)
    server = container(
        "controller",
        image,
        _RESOURCES,
        command=["workflow-controller"],
        args=["--namespaced", "--configmap", config, "--executor-image", executor_image],
        env=[env_from_field("LEADER_ELECTION_IDENTITY", "metadata.name")],
        ports={"http-metrics": METRICS_PORT, "http-health": _HEALTH_PORT},
        mounts={TMP_DIR: "tmp"},
        startup=http_probe("/healthz", "http-health", period_seconds=2, failures=60),
        readiness=http_probe("/healthz", "http-health", period_seconds=10),
        liveness=http_probe("/healthz", "http-health", period_seconds=60),
    )
    site.deployment(
        part,
        [server],
        account=account,
        annotations={CONFIG_ANNOTATION: fingerprint(content)},
        volumes=[scratch_volume("tmp", 64)],
        replicas=replicas,
        watches_kinds=True,
    )
    site.policy(part, "kubernetes", allow_kubernetes_api(part.selector))
    site.account(part, RUNNER, _STEP_RIGHTS)


def configuration(store: ArtifactStore) -> Mapping[str, Any]:
    """Return the controller's configuration."""
    access, secret = ARTIFACT_KEYS
    return {
        "artifactRepository": {
            "archiveLogs": True,
            "s3": {
                "endpoint": store.endpoint,
                "bucket": store.bucket,
                "region": REGION,
                "insecure": True,
                "keyFormat": LOG_KEY_FORMAT,
                "accessKeySecret": dict(secret_key_reference(access)),
                "secretKeySecret": dict(secret_key_reference(secret)),
            },
        },
        "executor": {
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {"runAsUser": _EXECUTOR_USER, **_CONTAINER_SECURITY},
        },
        # Pipelines sets the same; a workflow from elsewhere is held to it too.
        "mainContainer": {"securityContext": _CONTAINER_SECURITY},
        # Without TLS, which would be a certificate that nobody can check; who may read it is a network policy.
        "metricsConfig": {"enabled": True, "path": "/metrics", "port": METRICS_PORT, "secure": False},
        "workflowDefaults": {
            "spec": {
                "serviceAccountName": RUNNER,
                # Volumes that a step is given belong to the user that it runs as.
                "securityContext": {
                    "runAsNonRoot": True,
                    "fsGroup": UNPRIVILEGED_UID,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        },
    }
