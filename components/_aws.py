"""What all parts of the cloud have in common: the account, the region, the names and the tags.

Names are given, never generated, and ARNs are put together from them: so IAM policies are whole in a preview.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AwsScope:
    """Where the resources of a stack are and what they are called."""

    name: str
    """Beginning of every name; also the cluster's."""
    account_id: str
    region: str
    tags: Mapping[str, str]

    def tagged(self, name: str, **more: str) -> dict[str, str]:
        """Return the tags of the resource with this name."""
        return {**self.tags, "Name": name, **more}

    def named(self, role: str) -> str:
        """Return the name, unique in the account, of what plays a role in this stack."""
        return f"{self.name}-{role}"

    def role_arn(self, role: str) -> str:
        """Return the ARN of the IAM role that plays a role in this stack."""
        return f"arn:aws:iam::{self.account_id}:role/{self.named(role)}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    @property
    def cluster_arn(self) -> str:
        """ARN of the stack's cluster."""
        return self.arn("eks", f"cluster/{self.name}")
