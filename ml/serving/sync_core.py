"""Decides what a slot's sync does next, from what it knows and sees. Pure: no clock, disk or network.

The model server serves the highest version in its folder. So exactly one version is kept there (two while the next one
loads); the one before it is parked beside, where the server does not look, for a fast way back.
A version that does not load is taken out again, the one before stays or comes back, and it is not fetched a second time
until the alias has pointed elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, Literal

SERVER_LOADED: Final = "AVAILABLE"
SERVER_ENDED: Final = "END"
WARM_UP_ATTEMPTS: Final = 3
"""Predictions that may fail before a version that has loaded counts as failed."""

Phase = Literal["starting", "empty", "fetching", "loading", "serving", "failed"]
"""What the slot is doing: see `Verdict.phase`."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The version that the alias points to.

    Attributes:
        version: number in the registry, and name of its folder.
        identity: tells versions apart that have the same number in a registry that was set up anew.
    """

    version: int
    identity: str


@dataclasses.dataclass(frozen=True)
class ServedVersion:
    """What the model server says about one version."""

    state: str
    error: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observed:
    """What one look around found.

    Attributes:
        registry_reachable: whether the registry answered.
        wanted: what the alias points to if the registry answered, None if there is no alias.
        placed: versions in the server's folder, with their identity.
        parked: versions kept beside it, with their identity.
        server: versions that the server knows; None if it does not answer (it has no port before its first version).
    """

    registry_reachable: bool
    wanted: Wanted | None
    placed: Mapping[int, str]
    parked: Mapping[int, str]
    server: Mapping[int, ServedVersion] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """What is remembered from one decision to the next.

    Attributes:
        wanted: what the alias pointed to when the registry last answered.
        good: the version that last answered a prediction; what to fall back to.
        previous: the one before it; what to keep parked.
        warm: the version that answered a prediction since it was loaded.
        failed: why the wanted version cannot be served, None unless it has failed.
        loading_since: when the wanted version was first seen in the server's folder, None if it is not loading.
        warm_up_failures: failed warm-up predictions in a row.
        fetch_failures: failed downloads in a row.
        fetch_error: what the last of them said.
        next_fetch: not to be tried before this time.
    """

    wanted: Wanted | None = None
    good: int | None = None
    previous: int | None = None
    warm: int | None = None
    failed: str | None = None
    loading_since: float | None = None
    warm_up_failures: int = 0
    fetch_failures: int = 0
    fetch_error: str = ""
    next_fetch: float = 0.0


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Download a version and place it."""

    wanted: Wanted


@dataclasses.dataclass(frozen=True)
class Place:
    """Move a parked version into the server's folder."""

    version: int


@dataclasses.dataclass(frozen=True)
class Park:
    """Move a version out of the server's folder and keep it."""

    version: int


@dataclasses.dataclass(frozen=True)
class Remove:
    """Delete a version wherever it is."""

    version: int


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """Ask a version for a prediction."""

    version: int


Action = Fetch | Place | Park | Remove | WarmUp


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What to do, what to remember, and how the slot is.

    Attributes:
        actions: to be done in order.
        memory: for the next decision.
        phase: `starting` (the registry has not answered yet), `empty` (no alias), `fetching`, `loading`, `serving` (the
            wanted version answers) or `failed` (it cannot be served; `memory.failed` says why).
        serving: the version that answers clients now, None if there is none.
    """

    actions: tuple[Action, ...]
    memory: Memory
    phase: Phase
    serving: int | None

    @property
    def ready(self) -> bool:
        """Return whether clients may be sent here: a version answers, be it only in place of the wanted one."""
        return self.serving is not None and self.phase != "empty"


def decide_sync(memory: Memory, observed: Observed, now: float, *, load_timeout_seconds: float) -> Verdict:
    """Return the next steps of a slot. Doing them, or dying in between, and deciding again leads to the same end."""
    memory = _remember_wanted(memory, observed)
    memory = _remember_server(memory, observed)
    if memory.wanted is None:
        return _without_version(memory, observed)
    if memory.failed is not None:
        return _fall_back(memory, memory.wanted, observed)
    if memory.wanted.version in observed.placed:
        return _follow_loading(memory, memory.wanted, observed, now, load_timeout_seconds)
    return _bring(memory, memory.wanted, observed, now)


def after_fetch_failure(memory: Memory, error: str, now: float, *, first_pause: float, longest_pause: float) -> Memory:
    """Return the memory after a failed download: the pause doubles with each failure in a row, up to the longest."""
    pause = min(longest_pause, first_pause * 2.0 ** min(memory.fetch_failures, 32))
    return dataclasses.replace(
        memory, fetch_failures=memory.fetch_failures + 1, fetch_error=error, next_fetch=now + pause
    )


def after_warm_up(memory: Memory, version: int, error: str | None) -> Memory:
    """Return the memory after a warm-up prediction: the version is good, or the wanted one failed once too often."""
    is_wanted = memory.wanted is not None and memory.wanted.version == version
    if error is None:
        previous = memory.good if memory.good != version else memory.previous
        failed = None if is_wanted else memory.failed
        return dataclasses.replace(
            memory, warm=version, good=version, previous=previous, failed=failed, warm_up_failures=0
        )
    failures = memory.warm_up_failures + 1
    if not is_wanted or failures < WARM_UP_ATTEMPTS:
        return dataclasses.replace(memory, warm_up_failures=failures)
    return dataclasses.replace(
        memory, failed=f"warm-up prediction: {error}", loading_since=None, warm_up_failures=failures
    )


def _remember_wanted(memory: Memory, observed: Observed) -> Memory:
    if not observed.registry_reachable or observed.wanted == memory.wanted:
        return memory
    return Memory(wanted=observed.wanted, good=memory.good, previous=memory.previous, warm=memory.warm)


def _remember_server(memory: Memory, observed: Observed) -> Memory:
    """Forget that a version was warm once the server no longer has it."""
    if memory.warm is not None and memory.warm not in _available(observed):
        return dataclasses.replace(memory, warm=None)
    return memory


def _without_version(memory: Memory, observed: Observed) -> Verdict:
    if not observed.registry_reachable:
        return Verdict((), memory, "starting", _serving(memory, observed))
    removals = tuple(Remove(version) for version in sorted({*observed.placed, *observed.parked}))
    return Verdict(removals, Memory(), "empty", None)


def _bring(memory: Memory, wanted: Wanted, observed: Observed, now: float) -> Verdict:
    """Get the wanted version into the server's folder."""
    serving = _serving(memory, observed)
    if observed.parked.get(wanted.version) == wanted.identity:
        return Verdict((Place(wanted.version),), memory, "loading", serving)
    if wanted.version in observed.parked:
        return Verdict((Remove(wanted.version),), memory, "fetching", serving)
    if wanted.version in _available(observed):
        return Verdict((), memory, "fetching", serving)  # an older namesake is still being unloaded
    if not observed.registry_reachable or now < memory.next_fetch:
        return Verdict((), memory, "fetching", serving)
    return Verdict((Fetch(wanted),), memory, "fetching", serving)


def _follow_loading(
    memory: Memory, wanted: Wanted, observed: Observed, now: float, load_timeout_seconds: float
) -> Verdict:
    """Watch the wanted version, which is in the server's folder, until it answers or has failed."""
    serving = _serving(memory, observed)
    if observed.placed[wanted.version] != wanted.identity:
        return Verdict((Remove(wanted.version),), memory, "fetching", serving)
    higher = tuple(Park(version) for version in sorted(observed.placed) if version > wanted.version)
    served = (observed.server or {}).get(wanted.version)
    if served is not None and served.state == SERVER_LOADED:
        if memory.warm != wanted.version:
            return Verdict((*higher, WarmUp(wanted.version)), memory, "loading", serving)
        settled = dataclasses.replace(memory, loading_since=None, fetch_failures=0, fetch_error="")
        return Verdict(_tidy(memory, wanted.version, observed), settled, "serving", serving)
    since = now if memory.loading_since is None else memory.loading_since
    memory = dataclasses.replace(memory, loading_since=since)
    error = _load_error(served, now - since, load_timeout_seconds, reachable=observed.server is not None)
    if error is not None:
        return _fall_back(dataclasses.replace(memory, failed=error, loading_since=None), wanted, observed)
    return Verdict(higher, memory, "loading", serving)


def _load_error(
    served: ServedVersion | None, waited_seconds: float, load_timeout_seconds: float, *, reachable: bool
) -> str | None:
    if served is not None and served.state == SERVER_ENDED and served.error:
        return served.error
    if waited_seconds < load_timeout_seconds:
        return None
    state = "unknown to the server" if served is None else f"still {served.state}"
    detail = f": {served.error}" if served is not None and served.error else ""
    if not reachable:
        state = "loading, and the server does not answer"
    return f"after {load_timeout_seconds:.0f} s {state}{detail}"


def _fall_back(memory: Memory, wanted: Wanted, observed: Observed) -> Verdict:
    """Take the failed version out, and make sure that the one before it is where the server finds it."""
    on_disk = {*observed.placed, *observed.parked}
    available = _available(observed)
    serving = _serving(memory, observed)
    candidates = [version for version in (memory.good, memory.previous) if version in on_disk - {wanted.version}]
    fallback = candidates[0] if candidates else None
    if fallback is None and wanted.version in available:
        return Verdict((WarmUp(wanted.version),), memory, "failed", serving)  # it may yet answer, and nothing else can
    actions: list[Action] = []
    if fallback is not None and fallback not in observed.placed:
        actions.append(Place(fallback))
    actions.extend(Remove(version) for version in sorted(on_disk) if version != fallback)
    if fallback is not None and fallback in available and memory.warm != fallback:
        actions.append(WarmUp(fallback))
    return Verdict(tuple(actions), memory, "failed", serving)


def _tidy(memory: Memory, current: int, observed: Observed) -> tuple[Action, ...]:
    """Keep the current version in place and the one before it parked; remove the rest."""
    others = {*observed.placed, *observed.parked} - {current}
    kept = memory.previous if memory.previous in others else max(others, default=None)
    parks = [Park(kept)] if kept is not None and kept in observed.placed else []
    return (*parks, *(Remove(version) for version in sorted(others) if version != kept))


def _available(observed: Observed) -> set[int]:
    server = observed.server or {}
    return {version for version, served in server.items() if served.state == SERVER_LOADED}


def _serving(memory: Memory, observed: Observed) -> int | None:
    """Return the version that answers clients: the highest that the server has available, if one was seen to answer."""
    highest = max(_available(observed), default=None)
    return highest if highest is not None and memory.good is not None else None
