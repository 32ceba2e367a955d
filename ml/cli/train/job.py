"""The training Job: its manifest, its names and what its state means, as functions of plain objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, cast

from ml.cli.outputs import StackOutputs
from ml.contracts import PIPELINE_LABEL, TRAINING_PIPELINE, access_label

JOB_LABELS: Final = {
    "app.kubernetes.io/name": "training",
    "app.kubernetes.io/part-of": "mlplatform",
    "app.kubernetes.io/managed-by": "mlp",
}
SELECTOR: Final = ",".join(f"{key}={value}" for key, value in JOB_LABELS.items())
CONTAINER: Final = "training"
_PREFIX: Final = f"{TRAINING_PIPELINE}-"
_NUMBERED: Final = re.compile(rf"{_PREFIX}(\d+)")
_KEEP_SECONDS: Final = 24 * 3600
"""How long a finished Job and its log stay."""
_LONGEST_SECONDS: Final = 3600
_USER: Final = 1000


class JobState(Enum):
    """Where a Job stands."""

    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def job_state(job: Mapping[str, Any]) -> JobState:
    """Return where a Job stands."""
    conditions = cast("list[dict[str, str]]", job.get("status", {}).get("conditions") or [])
    held = {entry["type"] for entry in conditions if entry["status"] == "True"}
    if "Complete" in held:
        return JobState.SUCCEEDED
    return JobState.FAILED if "Failed" in held else JobState.ACTIVE


def failure_of(job: Mapping[str, Any]) -> str:
    """Return what Kubernetes says about a failed Job; empty when it says nothing."""
    conditions = cast("list[dict[str, str]]", job.get("status", {}).get("conditions") or [])
    return next((entry.get("message", "") for entry in conditions if entry["type"] == "Failed"), "")


def active_job(jobs: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the name of the training Job that is not finished, if there is one."""
    names = [str(job["metadata"]["name"]) for job in jobs if job_state(job) is JobState.ACTIVE]
    return names[0] if names else None


def next_name(jobs: Iterable[Mapping[str, Any]]) -> str:
    """Return the name of the next training Job.

    Names are numbered and not random: two people who start at the same moment ask for the same name, so only
    one Job comes to be and the other attaches to it.
    """
    found = (_NUMBERED.fullmatch(str(job["metadata"]["name"])) for job in jobs)
    return f"{_PREFIX}{max((int(match[1]) for match in found if match), default=0) + 1}"


def training_job(outputs: StackOutputs, name: str, *, force: bool) -> dict[str, Any]:
    """Return the manifest of a training Job.

    Args:
        outputs: what the stack tells about itself.
        name: of the Job.
        force: train even the models that have a champion.
    """
    command = ["python3", "-m", "ml.pipelines", "run", "train_models", "--runner", "local"]
    container = {
        "name": CONTAINER,
        "image": outputs.training.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*command, "--force"] if force else command,
        "workingDir": "/tmp",  # noqa: S108 a volume of the pod's own
        "env": [
            {"name": "MLFLOW_TRACKING_URI", "value": outputs.tracking_server.url},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            # The image has no git, and MLflow would say so at length.
            {"name": "GIT_PYTHON_REFRESH", "value": "quiet"},
        ],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "3Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": outputs.training.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": outputs.namespace,
            "labels": {**JOB_LABELS, PIPELINE_LABEL: TRAINING_PIPELINE},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _LONGEST_SECONDS,
            "ttlSecondsAfterFinished": _KEEP_SECONDS,
            "template": {
                "metadata": {"labels": {**JOB_LABELS, **access_label(outputs.tracking_server.service)}},
                "spec": pod,
            },
        },
    }


def has_started(pods: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the training container has run, so that there is a log."""
    containers = [
        entry
        for pod in pods
        for entry in cast("list[dict[str, Any]]", pod.get("status", {}).get("containerStatuses") or [])
    ]
    return any("running" in entry["state"] or "terminated" in entry["state"] for entry in containers)
