"""Disks of a storage class are not encrypted."""

from __future__ import annotations

from policies._logic import Is
from policies._model import Example, ObjectRule, Severity

RULE = ObjectRule(
    id="storage-class-encrypted",
    title="disks of a storage class are not encrypted",
    severity=Severity.HIGH,
    frameworks=("AWS FSBP EC2.3",),
    kinds=("storage.k8s.io/StorageClass",),
    when=Is("provisioner", "ebs.csi.aws.com"),
    demand=Is("parameters.encrypted", "true"),
    why="Snapshots and returned disks are readable for whoever gets them.",
    how='Set the parameter encrypted to "true".',
    example=Example(
        of="StorageClass",
        fails={"parameters.encrypted": "false"},
        neighbour={"provisioner": "kubernetes.io/no-provisioner", "parameters": None},
        needed=True,
    ),
)
