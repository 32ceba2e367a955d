"""What the rules that offer a repair are to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REPAIRS: Final[dict[str, Mapping[str, Any]]] = {
    "account-token": {"automountServiceAccountToken": False},
    "aws-bucket-public-access": {
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    },
    "aws-database-deletion": {"deletionProtection": True, "skipFinalSnapshot": False},
    "aws-database-public": {"publiclyAccessible": False},
    "aws-images-immutable": {"imageTagMutability": "IMMUTABLE"},
    "aws-images-scanned": {"imageScanningConfiguration.scanOnPush": True},
    "aws-key-rotation": {"enableKeyRotation": True},
    "container-capabilities-kept": {"securityContext.capabilities.drop": ["ALL"]},
    "container-privilege-escalation": {"securityContext.allowPrivilegeEscalation": False},
    "container-privileged": {"securityContext.privileged": False},
    "container-proc-mount": {"securityContext.procMount": "Default"},
    "cron-job-overlap": {"spec.concurrencyPolicy": "Forbid"},
    "image-pull-policy": {"imagePullPolicy": "IfNotPresent"},
    "mesh-mutual-tls": {"spec.mtls.mode": "STRICT"},
    "pod-account-token": {"automountServiceAccountToken": False},
    "pod-host-ipc": {"hostIPC": False},
    "pod-host-network": {"hostNetwork": False},
    "pod-host-pid": {"hostPID": False},
    "pod-run-as-non-root": {"securityContext.runAsNonRoot": True},
    "pod-seccomp-profile": {"securityContext.seccompProfile.type": "RuntimeDefault"},
    "pod-service-links": {"enableServiceLinks": False},
    "stateful-set-keeps-data": {
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
    },
    "volume-reclaim": {"spec.persistentVolumeReclaimPolicy": "Retain"},
}
"""What each rule that offers a repair writes, below the part that it judges; all others offer none."""
