"""Before users see a treatment: the salt is in force, the slots serve what their aliases say, copies have been sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ml.contracts import slot_alias
from ml.controller.draft import Draft
from ml.controller.fold import MEASURED_STEP
from ml.controller.routing import all_to, in_effect
from ml.events.types import StepDone

WAITING: Final = "slots_loading"
"""Reason for which an admitted experiment waits before its start."""
SLOT_HOLD: Final = "slot_not_ready"
"""Reason of a hold that ends when the slots are ready again; other holds end with a decision."""


def prepare(draft: Draft) -> None:
    """Go on in Pending and Shadow: salt in force, slots ready, then copies of requests, then users."""
    state, spec = draft.state, draft.state.spec
    arms = (state.specification.control, *state.active)
    if state.paused_by:
        return
    missing = [arm for arm in arms if draft.seen.version(arm) is None or _is_loading(draft, arm)]
    settled = in_effect(state, draft.seen, all_to(state.specification.arms, state.specification.control))
    if missing or not settled:
        _wait(draft, missing)
        return
    if not state.versions:
        served = {arm: draft.seen.version(arm) for arm in state.specification.arms}
        versions = {arm: version for arm, version in served.items() if version is not None}
        draft.add(StepDone(at=draft.now, step=MEASURED_STEP, details={"versions": versions}))
    if state.phase == "Pending" and spec.shadow.enabled:
        draft.enter("Shadow", "slots_ready", f"copies of {spec.shadow.sample_percent:g} % of the requests")
    elif state.phase == "Pending" or draft.now - state.phase_at >= spec.shadow.duration_seconds:
        draft.enter("Ramping", "slots_ready", "the first users meet the treatments")


def _wait(draft: Draft, missing: Sequence[str]) -> None:
    """Wait for slots and the gateway; end as inconclusive when that takes too long."""
    state = draft.state
    unready = [arm for arm in missing if arm in draft.seen.slots]
    if state.phase == "Shadow" and unready:
        draft.enter("Pending", SLOT_HOLD, f"slots {', '.join(unready)} are not ready with one version")
    elif draft.now - max(state.phase_at, state.promised.at) > state.spec.no_data.timeout_seconds:
        message = _loading_message(draft, missing) if missing else "the gateway has not taken the route"
        draft.give_back("Inconclusive", "not_started", message)
    elif missing and state.phase == "Pending":
        draft.enter("Pending", WAITING, _loading_message(draft, missing))


def _is_loading(draft: Draft, arm: str) -> bool:
    """Tell whether a slot does not serve what its alias says, or whether that is not known."""
    return draft.state.phase == "Pending" and draft.seen.aliases.get(slot_alias(arm)) != draft.seen.version(arm)


def _loading_message(draft: Draft, arms: Sequence[str]) -> str:
    parts: list[str] = []
    for arm in arms:
        alias, serves = slot_alias(arm), draft.seen.version(arm)
        if serves is None:
            parts.append(f"slot {arm} is not ready with one version")
        elif alias not in draft.seen.aliases:
            parts.append(f"slot {arm} serves version {serves}; where alias {alias} points is not known")
        else:
            parts.append(f"slot {arm} serves version {serves}, alias {alias} points to {draft.seen.aliases[alias]}")
    return "; ".join(parts)
