"""The settings of a PostgreSQL server that AWS runs; `components.settings_aws` reads them as its section `database`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from components._rules import flag, integer, text
from components._schema import Problems, Rule, Sensitive, schema, setting

BACKUP_WINDOW = "01:00-02:00"
"""When the daily snapshot is taken (UTC); the log of changes is kept all the time."""
_BACKUP_MINUTES = range(60, 120)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_LEAST_WINDOW_MINUTES = 30
_LEAST_GROWTH_PERCENT = 10

_moment = rf"({'|'.join(_DAYS)}):([01][0-9]|2[0-3]):[0-5][0-9]"
_window = text(rf"{_moment}-{_moment}", "a time of the week in UTC such as sun:03:00-sun:04:00")
_class = text(
    r"db\.(t4g\.(medium|large|2?xlarge)|[mr]6g\.(large|([248]|1[26])?xlarge))",
    "a class of t4g, m6g or r6g, from db.t4g.medium to db.r6g.16xlarge",
)
_version = text(r"1[78](\.[0-9]{1,2})?", "PostgreSQL 17 or 18, or a version of it such as 18.1, in quotes")
_PEM = re.compile(r"(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")


def _certificates() -> Rule[str]:
    """Accept certificates as PEM. What is refused is not shown: it may be a key."""
    allowed = "one or more certificates as PEM, and nothing else"

    def read(raw: object, key: str, problems: Problems) -> str | None:
        try:
            if isinstance(raw, str) and _PEM.fullmatch(raw):
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=raw)
                return raw
        except (ssl.SSLError, ValueError):  # looks like certificates and is none
            pass
        problems.add(key, Sensitive(""), allowed)
        return None

    return Rule(allowed, read, is_text=True)


@schema
class DatabaseSettings:
    """The server. Whether it can be deleted follows from `protectData`; its connections from `metadataDb`."""

    authorities: str = setting(_certificates())
    """AWS's own for the stack's region, of which one signs the server's certificate; not those of public websites."""
    instance_class: str = setting(_class, default="db.m6g.large")
    storage_gib: int = setting(integer(20, 65_536, "GiB"), default=100)
    """At first; it grows by itself when a tenth is left."""
    maximum_storage_gib: int = setting(integer(22, 65_536, "GiB"), default=500)
    backup_days: int = setting(integer(7, 35, "days"), default=14)
    """How far back every moment can be restored."""
    multi_az: bool = setting(flag(), default=True)
    """Whether a second server in another zone has every commit and takes over."""
    maintenance_window: str = setting(_window, default="sun:03:00-sun:04:00")
    engine_version: str = setting(_version, default="18")
    """With a major version alone, smaller ones follow by themselves in the maintenance window."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse what AWS would refuse later."""
        least = -(-self.storage_gib * (100 + _LEAST_GROWTH_PERCENT) // 100) if "storage_gib" not in faulty else 0
        if "maximum_storage_gib" not in faulty and self.maximum_storage_gib < least:
            yield "maximum_storage_gib", f"at least {least}, a tenth more than storageGib"
        if "maintenance_window" not in faulty and not _is_possible(self.maintenance_window):
            allowed = (
                f"at least {_LEAST_WINDOW_MINUTES} minutes and at most a day, outside the backup's {BACKUP_WINDOW}"
            )
            yield "maintenance_window", allowed


def _is_possible(window: str) -> bool:
    start, end = (_minute_of_week(moment) for moment in window.split("-"))
    length = (end - start) % (len(_DAYS) * _DAY_MINUTES)
    touched = {minute % _DAY_MINUTES for minute in range(start, start + min(length, _DAY_MINUTES + 1))}
    return _LEAST_WINDOW_MINUTES <= length <= _DAY_MINUTES and touched.isdisjoint(_BACKUP_MINUTES)


def _minute_of_week(moment: str) -> int:
    day, hour, minute = moment.split(":")
    return (_DAYS.index(day) * 24 + int(hour)) * 60 + int(minute)
