"""The object store on AWS: a bucket that forgets nothing at once, encrypted, closed to the public, copied elsewhere.

The other choice for what `components.object_store` offers. Consumers have no keys: who their pods are opens the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import document

_ABORTED_UPLOAD_DAYS = 7
_REPLICATION_MINUTES = 15


@dataclass(frozen=True, kw_only=True)
class S3ObjectStoreArgs:
    """What distinguishes one store from another."""

    scope: AwsScope
    bucket: str
    replica_bucket: str
    replica_region: str
    key_arn: pulumi.Input[str]
    replica_key_arn: pulumi.Input[str]
    """A key of the replica's region."""
    replication_role_arn: pulumi.Input[str]
    infrequent_after_days: int
    replaced_kept_days: int
    protect: bool
    """Whether Pulumi refuses to delete the buckets; AWS refuses while something is in them."""


class S3ObjectStore(PlatformComponent):
    """A bucket and its replica in another region."""

    bucket: pulumi.Output[str]
    """Name of the bucket, known at once."""

    def __init__(self, name: str, args: S3ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        source, source_ready = self._create_bucket(name, args.bucket, args.key_arn, None)
        replica, replica_ready = self._create_bucket(
            f"{name}-replica", args.replica_bucket, args.replica_key_arn, args.replica_region
        )
        self._replicate(source, replica, [source_ready, replica_ready])
        self.bucket = source.bucket
        self.finish(bucket=self.bucket)

    def _create_bucket(
        self, name: str, bucket_name: str, key_arn: pulumi.Input[str], region: str | None
    ) -> tuple[aws.s3.Bucket, aws.s3.BucketVersioning]:
        bucket = aws.s3.Bucket(
            name,
            bucket=bucket_name,
            force_destroy=False,
            region=region,
            tags=self._args.scope.tagged(bucket_name),
            opts=self.child(protect=self._args.protect or None),
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            region=region,
            opts=self.child(),
        )
        # Access lists are off: policies alone decide.
        aws.s3.BucketOwnershipControls(
            name,
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            region=region,
            opts=self.child(),
        )
        self._encrypt(name, bucket, key_arn, region)
        aws.s3.BucketPolicy(name, bucket=bucket.bucket, policy=_policy(bucket_name), region=region, opts=self.child())
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            region=region,
            opts=self.child(),
        )
        self._expire(name, bucket, versioning, region)
        return bucket, versioning

    def _encrypt(self, name: str, bucket: aws.s3.Bucket, key_arn: pulumi.Input[str], region: str | None) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="aws:kms", kms_master_key_id=key_arn
                        )
                    ),
                    # One data key for many objects: KMS is asked, and paid, far less.
                    bucket_key_enabled=True,
                )
            ],
            region=region,
            opts=self.child(),
        )

    def _expire(
        self, name: str, bucket: aws.s3.Bucket, versioning: aws.s3.BucketVersioning, region: str | None
    ) -> None:
        args = self._args
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="keep-cheaply",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    transitions=[
                        aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(
                            days=args.infrequent_after_days, storage_class="STANDARD_IA"
                        )
                    ],
                    noncurrent_version_expiration=(
                        aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                            noncurrent_days=args.replaced_kept_days
                        )
                    ),
                    abort_incomplete_multipart_upload=(
                        aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                            days_after_initiation=_ABORTED_UPLOAD_DAYS
                        )
                    ),
                )
            ],
            region=region,
            # What happens to replaced versions can only be said of a bucket that keeps them.
            opts=self.child(depends_on=[versioning]),
        )

    def _replicate(
        self, source: aws.s3.Bucket, replica: aws.s3.Bucket, versioned: list[aws.s3.BucketVersioning]
    ) -> None:
        args = self._args
        rule = aws.s3.BucketReplicationConfigRuleArgs
        minutes = _REPLICATION_MINUTES
        aws.s3.BucketReplicationConfig(
            f"{self._name}-replication",
            bucket=source.bucket,
            role=args.replication_role_arn,
            rules=[
                rule(
                    id="everything",
                    status="Enabled",
                    priority=1,
                    filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
                    # A deletion is copied as a mark: the copy's versions stay as long as the original's.
                    delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(
                        status="Enabled"
                    ),
                    source_selection_criteria=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
                        sse_kms_encrypted_objects=(
                            aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(
                                status="Enabled"
                            )
                        )
                    ),
                    destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                        bucket=replica.arn,
                        storage_class="STANDARD_IA",
                        encryption_configuration=(
                            aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
                                replica_kms_key_id=args.replica_key_arn
                            )
                        ),
                        replication_time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeArgs(
                            status="Enabled",
                            time=aws.s3.BucketReplicationConfigRuleDestinationReplicationTimeTimeArgs(minutes=minutes),
                        ),
                        metrics=aws.s3.BucketReplicationConfigRuleDestinationMetricsArgs(
                            status="Enabled",
                            event_threshold=(
                                aws.s3.BucketReplicationConfigRuleDestinationMetricsEventThresholdArgs(minutes=minutes)
                            ),
                        ),
                    ),
                )
            ],
            opts=self.child(depends_on=versioned),
        )


def _policy(bucket: str) -> str:
    arn = f"arn:aws:s3:::{bucket}"
    encrypted_only = {
        "Sid": "EncryptedOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return document([encrypted_only])
