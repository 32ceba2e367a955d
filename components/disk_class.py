"""The kind of disk that volumes are made of on AWS: encrypted with the stack's key, in the zone of their first pod."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._aws import AwsScope
from components._base import PlatformComponent
from components._labels import object_labels

_NAME = "disk-class"
_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


@dataclass(frozen=True, kw_only=True)
class DiskClassArgs:
    """What distinguishes one class from another."""

    scope: AwsScope
    key_arn: pulumi.Input[str]
    keep: bool
    """Whether a disk outlives its claim."""


class DiskClass(PlatformComponent):
    """The cluster's default storage class."""

    def __init__(self, name: str, args: DiskClassArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        tags = [f"{key}={value}" for key, value in sorted(args.scope.tags.items())]
        k8s.storage.v1.StorageClass(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=name, labels=object_labels(_NAME, name), annotations=_DEFAULT),
            provisioner="ebs.csi.aws.com",
            parameters={
                "type": "gp3",
                "encrypted": "true",
                "kmsKeyId": args.key_arn,
                **{f"tagSpecification_{index}": tag for index, tag in enumerate(tags, start=1)},
            },
            reclaim_policy="Retain" if args.keep else "Delete",
            allow_volume_expansion=True,
            volume_binding_mode="WaitForFirstConsumer",
            opts=self.child(),
        )
        self.finish(name=name)
