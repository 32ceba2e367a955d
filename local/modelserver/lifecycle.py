"""Decides, from what is on disk and in memory, which version to load and which to unload next. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from local.modelserver.status import StatusError


class State(enum.IntEnum):
    """Where a version is in its life, numbered as in the status message."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True)
class VersionState:
    """A version's state.

    Attributes:
        state: where it is in its life.
        error: why it could not be loaded, None if that has not happened.
        blocked: it could not be loaded and is not tried again as long as it stays wanted.
    """

    state: State
    error: StatusError | None = None
    blocked: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to start now, highest version first.

    Attributes:
        load: versions to load.
        unload: versions to take out of memory.
        unblock: failed versions that are no longer wanted, so that the same number may be tried again later.
    """

    load: tuple[int, ...] = ()
    unload: tuple[int, ...] = ()
    unblock: tuple[int, ...] = ()


def plan(wanted: frozenset[int], versions: Mapping[int, VersionState]) -> Plan:
    """Return the next steps towards serving the wanted versions while always keeping one that answers.

    A version that is no longer wanted stays until a wanted one is available, or until none is wanted at all.
    """
    available = {number for number, version in versions.items() if version.state is State.AVAILABLE}
    load = [number for number in wanted if _may_load(versions.get(number))]
    unload = available - wanted if not wanted or available & wanted else set[int]()
    unblock = [number for number, version in versions.items() if version.blocked and number not in wanted]
    return Plan(*(tuple(sorted(numbers, reverse=True)) for numbers in (load, unload, unblock)))


def _may_load(version: VersionState | None) -> bool:
    return version is None or (version.state is State.END and not version.blocked)
