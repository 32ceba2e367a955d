"""A key of KMS for one purpose, with a policy that names everybody who may use it.

Whoever the policy names needs no right in a policy of their own, and a right in a policy of their own does not suffice:
only the account's administrators can change that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent
from components._iam import Conditions, document

_USE = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
)
_GRANT = "kms:CreateGrant"
_ADMINISTER = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""What the account's administrators may do: everything but reading what is encrypted."""
_DELETION_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class KeyUser:
    """Who may use a key, and when."""

    sid: str
    principal: Mapping[str, str]
    """`AWS` with an ARN, or `Service` with its name."""
    conditions: Conditions = field(default_factory=dict[str, Mapping[str, str | Sequence[str]]])
    grants: bool = False
    """Whether it hands the use on to services of AWS, as disks need it."""


@dataclass(frozen=True, kw_only=True)
class EncryptionKeyArgs:
    """What distinguishes one key from another."""

    scope: AwsScope
    purpose: str
    """What is encrypted with it, in words."""
    users: Sequence[KeyUser]
    region: str | None = None
    """None takes the stack's region."""
    protect: bool = True
    """Whether Pulumi refuses to delete it; what is encrypted with it would be lost."""


class EncryptionKey(PlatformComponent):
    """A key that is renewed every year, and its alias.

    The roles that its policy names have to be there before it: AWS refuses a policy that names a missing one.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        key = aws.kms.Key(
            name,
            description=f"{args.scope.name}: {args.purpose}",
            enable_key_rotation=True,
            deletion_window_in_days=_DELETION_DAYS,
            policy=document(_statements(args)),
            region=args.region,
            tags=args.scope.tagged(args.scope.named(name)),
            opts=self.child(protect=args.protect or None),
        )
        aws.kms.Alias(
            name,
            name=f"alias/{args.scope.named(name)}",
            target_key_id=key.key_id,
            region=args.region,
            opts=self.child(),
        )
        self.arn = key.arn
        self.finish(arn=self.arn)


def _statements(args: EncryptionKeyArgs) -> list[dict[str, Any]]:
    # In a key's policy the resource `*` is the key itself.
    administration = {
        "Sid": "Administration",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{args.scope.account_id}:root"},
        "Action": list(_ADMINISTER),
        "Resource": "*",
    }
    return [administration, *(statement for user in args.users for statement in _use(user))]


def _use(user: KeyUser) -> list[dict[str, Any]]:
    base: dict[str, Any] = {"Effect": "Allow", "Principal": dict(user.principal), "Resource": "*"}
    use = {"Sid": user.sid, **base, "Action": list(_USE)}
    if user.conditions:
        use["Condition"] = dict(user.conditions)
    if not user.grants:
        return [use]
    # Disks are encrypted by the machines they are attached to, to which the user hands the use on.
    condition = {**user.conditions, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [use, {"Sid": f"{user.sid}Grants", **base, "Action": [_GRANT], "Condition": condition}]
