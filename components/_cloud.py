"""What a stack gets from its cloud in place of pods of its own. Knows no cloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ManagedBucket:
    """A bucket that the tracking server's pods may use by being who they are."""

    name: str
    region: str


@dataclass(frozen=True, kw_only=True)
class CloudParts:
    """The parts of the platform that the cloud runs."""

    bucket: ManagedBucket
