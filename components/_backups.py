"""Where backups of a database lie: a folder in a bucket, and how whoever writes it shows who it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

ACCESS_KEY, SECRET_KEY = "access-key", "secret-key"


@dataclass(frozen=True, kw_only=True)
class BackupStore:
    """A folder in a bucket."""

    folder: str
    """As `s3://BUCKET/FOLDER`."""
    region: str
    """By which requests are signed."""
    secret: pulumi.Input[str] | None = None
    """Name of a Secret with keys access-key and secret-key; None where pods are known by their account."""
    endpoint: str | None = None
    """Address of the S3 service; None takes AWS's own."""
    pod_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What lets pods of the namespace reach a store in it; without labels the store lies outside."""

    def configuration(self) -> dict[str, Any]:
        """Return the form that an ObjectStore of the Barman Cloud plugin has."""
        credentials: dict[str, Any] = {"inheritFromIAMRole": True}
        if self.secret is not None:
            credentials = {
                "accessKeyId": {"name": self.secret, "key": ACCESS_KEY},
                "secretAccessKey": {"name": self.secret, "key": SECRET_KEY},
            }
        address = {} if self.endpoint is None else {"endpointURL": self.endpoint}
        return {"destinationPath": self.folder, **address, "s3Credentials": credentials}
