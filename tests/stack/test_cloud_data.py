"""What a stack on AWS keeps: its buckets, disks and keys."""

from __future__ import annotations

from tests.support import pods
from tests.support.cloud_resources import ACCOUNT, inputs, named
from tests.support.recording_monitor import Graph


def test_objects_are_kept_encrypted_and_copied_to_another_region_when_deployed(cloud: Graph) -> None:
    for name, region in (("object-store", None), ("object-store-replica", "eu-west-1")):
        bucket = named(cloud, "aws:s3/bucket:Bucket", name)
        assert bucket.inputs.get("region") == region
        assert bucket.protect
        versioning = inputs(cloud, "aws:s3/bucketVersioning:BucketVersioning", name)
        assert versioning["versioningConfiguration"]["status"] == "Enabled"
        (rule,) = inputs(
            cloud, "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", name
        )["rules"]
        assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    (rule,) = inputs(cloud, "aws:s3/bucketReplicationConfig:BucketReplicationConfig", "object-store-replication")[
        "rules"
    ]
    assert rule["destination"]["bucket"].endswith("-replica")
    assert rule["sourceSelectionCriteria"]["sseKmsEncryptedObjects"]["status"] == "Enabled"


def test_tracking_server_uses_its_bucket_without_a_key_when_deployed(cloud: Graph) -> None:
    deployment = cloud.object("Deployment", "tracking-server")
    spec = pods.template_of(deployment)["spec"]
    environment = pods.env_of(pods.containers_of(deployment)["server"])
    assert spec["serviceAccountName"] == "tracking-server"
    assert spec["automountServiceAccountToken"] is False
    assert environment["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert not any(name in environment for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    association = inputs(cloud, "aws:eks/podIdentityAssociation:PodIdentityAssociation", "tracking-identity-identity")
    assert association["serviceAccount"] == "tracking-server"
    assert association["namespace"] == cloud.stack_outputs["namespace"]
    bucket = cloud.stack_outputs["objectStore"]["consumers"]["mlflow"]["bucket"]
    assert f"--artifacts-destination=s3://{bucket}" in pods.containers_of(deployment)["server"]["args"]


def test_disks_of_pods_are_encrypted_with_the_stacks_key_and_kept_when_deployed(cloud: Graph) -> None:
    (item,) = cloud.of_kind("StorageClass")
    assert item.manifest["parameters"]["encrypted"] == "true"
    assert item.manifest["parameters"]["kmsKeyId"].startswith(f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/")
    assert item.manifest["reclaimPolicy"] == "Retain"
    assert item.manifest["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_every_key_is_renewed_and_protected_when_deployed(cloud: Graph) -> None:
    keys = cloud.of_type("aws:kms/key:Key")
    assert {item.name for item in keys} == {"log-key", "secrets-key", "data-key", "replica-key"}
    assert all(item.protect and item.inputs["enableKeyRotation"] for item in keys)
