"""What training Jobs run as. The Jobs themselves are started by `mlp train`, one per run."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels

_NAME = "training"


@dataclass(frozen=True, kw_only=True)
class TrainingArgs:
    """What training Jobs need to exist beforehand."""

    namespace: pulumi.Input[str]


class Training(PlatformComponent):
    """A service account without any right, so that a training Job runs as nobody else."""

    service_account: pulumi.Output[str]

    def __init__(self, name: str, args: TrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        account = k8s.core.v1.ServiceAccount(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=args.namespace, labels=object_labels(_NAME, name)),
            automount_service_account_token=False,
            opts=self.child(),
        )
        self.service_account = account.metadata.name
        self.finish(serviceAccount=self.service_account)
