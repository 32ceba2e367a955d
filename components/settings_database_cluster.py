"""The settings of a PostgreSQL that CloudNativePG runs; `components.settings_parts` reads them as its `cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime

from components._rules import integer, text, word
from components._schema import schema, section, setting

CLOUD_NATIVE_PG = "cloudNativePg"
"""The kind of database that these settings are about, called like what the cluster must have for it."""
HIGHLY_AVAILABLE_INSTANCES = 3
"""One may be away, and a commit is still on two disks."""
LATEST = "latest"
"""As a moment: all that was archived."""

_bucket = text(
    r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*",
    "a bucket and a folder in it such as s3://backups/mlplatform",
    max_length=512,
)
_endpoint = text(r"https://[A-Za-z0-9.-]+", "the https:// address of an S3 service on port 443", max_length=512)
_moment = text(
    rf"{LATEST}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}Z",
    f"`{LATEST}` or a moment in UTC such as 2026-11-26T10:15:00Z, in quotes",
)


@schema
class ExternalBackupsSettings:
    """An S3 service outside the cluster, whose secret key is `backupSecret`."""

    destination: str = setting(_bucket)
    endpoint: str = setting(_endpoint)
    access_key: str = setting(word)
    region: str = setting(word, default="us-east-1")
    """As requests are signed; services that have one region only mostly take this name."""


@schema
class DatabaseClusterSettings:
    """The servers and their past. Connections, storage and resources of one follow from `metadataDb`.

    From three instances on a commit is confirmed when it is on two of them.
    """

    instances: int = setting(integer(1, 9), default=HIGHLY_AVAILABLE_INSTANCES)
    wal_storage_gib: int = setting(integer(2, 65_536, "GiB"), default=10)
    """The log of changes, on a disk of its own: what is not archived yet fills this one and not that of the data."""
    backup_days: int = setting(integer(7, 35, "days"), default=14)
    """How far back every moment can be restored."""
    external: ExternalBackupsSettings | None = setting(section(ExternalBackupsSettings), default=None)
    """Where backups lie; None takes the platform's own store, or on AWS a bucket that the stack makes for them."""
    generation: int = setting(integer(1, 999), default=1)
    """Rises by one with every restore: each writes its own past, beside that of the one before."""
    restore_to: str | None = setting(_moment, default=None)
    """Up to when the past of the generation before is taken over, when the cluster is made; None begins empty."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse a restore from nothing, a generation that would begin empty, and a day that no month has."""
        if not faulty.isdisjoint({"generation", "restore_to"}):
            return
        if self.generation == 1 and self.restore_to is not None:
            yield "restore_to", "absent, unless `generation` is 2 or more: it takes over the past of the one before"
        if self.generation > 1 and self.restore_to is None:
            yield "restore_to", f"`{LATEST}` or a moment, where `generation` is 2 or more"
        if self.restore_to not in {None, LATEST} and not _exists(str(self.restore_to)):
            yield "restore_to", "a moment that there is"


def _exists(moment: str) -> bool:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


def conflicts_outside(
    settings: DatabaseClusterSettings, *, chosen: bool, secret: bool, on_aws: bool, highly_available: bool
) -> Iterator[tuple[str, str]]:
    """Find what contradicts the rest of a stack's settings.

    Args:
        settings: sound by themselves.
        chosen: whether CloudNativePG runs the database.
        secret: whether there is a `backupSecret`.
        on_aws: whether the stack makes its own cluster there.
        highly_available: whether it must survive the loss of a zone.
    """
    if secret and settings.external is None:
        yield "backup_secret", "absent, unless `metadataDb.cluster.external` is set"
    if not secret and settings.external is not None:
        yield "backup_secret", "the secret key of `metadataDb.cluster.external`, stored encrypted"
    if on_aws and settings.external is not None:
        yield "metadata_db", "a cluster without `external` where `aws` is set: the stack makes a bucket for backups"
    if chosen and highly_available and settings.instances < HIGHLY_AVAILABLE_INSTANCES:
        least = f"a cluster of {HIGHLY_AVAILABLE_INSTANCES} instances or more"
        yield "metadata_db", f"{least}, unless `aws.highlyAvailable` is false"
