"""What a stack gets from its cloud in place of pods of its own. Knows no cloud."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class ManagedBucket:
    """A bucket that the tracking server's pods may use by being who they are."""

    name: str
    region: str


@dataclass(frozen=True, kw_only=True)
class ManagedDatabase:
    """A PostgreSQL server that demands TLS, and whose administrator has the password that the stack derives."""

    kind: str
    """What the cloud calls it."""
    host: pulumi.Input[str]
    """The name that its certificate is for."""
    cidrs: tuple[str, ...]
    """Where its address lies, now and after another zone has taken over."""
    authorities: str
    """Certificates, as PEM, of the authorities of which one has signed its own."""


@dataclass(frozen=True, kw_only=True)
class CloudParts:
    """The parts of the platform that the cloud runs."""

    bucket: ManagedBucket
    database: ManagedDatabase | None = None
    """None where PostgreSQL runs in the cluster."""
    backups: ManagedBucket | None = None
    """For backups of a PostgreSQL in the cluster; None where none are taken."""
