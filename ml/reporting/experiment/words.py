"""The state of an experiment in words that a tired person understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from ml.contracts import STABLE_SLOT
from ml.reporting.experiment.results import EvidenceView, ExperimentResults

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_DAYS_WITHOUT_HOURS: Final = 3
"""From so many days on hours say nothing any more."""

PHASES: Final = {
    "Pending": "Waiting to start",
    "Shadow": "Shadowing: users see nothing of it yet",
    "Ramping": "Ramping up",
    "Running": "Running",
    "HoldNoData": "On hold: no data",
    "AwaitingApproval": "Waiting for approval",
    "Promoting": "Promoting",
    "RollingBack": "Going back to control",
    "Promoted": "Promoted",
    "RolledBack": "Rolled back",
    "Inconclusive": "Inconclusive",
    "Invalid": "Invalid",
    "Cancelled": "Cancelled",
}
VERDICTS: Final = {
    "better": "better",
    "worse": "worse than allowed",
    "safe": "shown to be safe",
    "higher": "higher",
    "lower": "lower",
    "open": "not decided",
    "too early": "too early to say",
    "suspect": "may be worse than allowed, no test can tell yet",
    "no variance": "nothing varies yet",
    "no data": "no data",
}
ROLES: Final = {
    "primary": "decides",
    "primary harm": "must not get worse",
    "guardrail": "guardrail",
    "secondary": "for information",
}
ACTIONS: Final = {
    "continue": "go on",
    "ramp": "change weights",
    "hold": "hold",
    "promote": "promote",
    "roll back": "roll back",
    "inconclusive": "end without a result",
    "invalid": "declare invalid",
}


def state_sentence(results: ExperimentResults, now: float) -> str:
    """Return one sentence: phase, day, whether it is decided, and how much of the sample there is."""
    words = f"Paused ({PHASES[results.phase].split(':')[0].lower()})" if results.paused else PHASES[results.phase]
    if results.is_over:
        return _ending(results, words)
    parts = [words]
    if results.phase == "Pending" and results.message:
        parts.append(f": {results.message}")
    elif results.started_at is not None:
        parts.append(f", {_day_of(results.started_at, results.duration_seconds, now)}")
    if results.phase in ("Ramping", "Running", "HoldNoData"):
        parts.append(f": {_progress(results)}")
    if results.phase == "AwaitingApproval":
        parts.append(f": {_winner(results)} is better; a person has to approve the promotion")
    return "".join(parts)


def _day_of(started_at: float, duration_seconds: float | None, now: float) -> str:
    elapsed = max(0.0, now - started_at)
    if duration_seconds is not None and duration_seconds < 2 * _DAY:
        return f"{duration(elapsed)} of {duration(duration_seconds)}"
    day = math.floor(elapsed / _DAY) + 1
    return f"day {day}" if duration_seconds is None else f"day {day} of {math.ceil(duration_seconds / _DAY)}"


def _progress(results: ExperimentResults) -> str:
    share = results.fraction
    sample = "nothing is counted yet" if share is None else f"{percent(share)} of the planned sample"
    return f"not decided, {sample}"


def _winner(results: ExperimentResults) -> str:
    claimed = [item.arm for item in results.of_role("primary") if item.verdict == "better"]
    return results.winner or (claimed[0] if claimed else "a treatment")


def _ending(results: ExperimentResults, words: str) -> str:
    if results.phase == "Promoted":
        words = f"Promoted: {_winner(results)} is the new champion"
    elif results.phase == "RolledBack":
        words = f"Rolled back: all traffic is on {results.control}"
    why = results.message or "; ".join(reason.message for reason in results.reasons)
    after = ""
    if results.started_at is not None and results.ended_at is not None:
        after = f" after {duration(results.ended_at - results.started_at)}"
    return f"{words}{after}" + (f" ({why})" if why else "")


def sample_ratio_sentence(results: ExperimentResults) -> str:
    """Return whether users are shared out as promised."""
    test = results.sample_ratio
    if test is None:
        return "Not tested yet: no user has been counted."
    if test.sound:
        return f"Sound: the arms hold the promised shares of users (p = {p_value(test.p_value)})."
    return (
        f"Broken: the arms do not hold the promised shares (p = {p_value(test.p_value)}, "
        f"allowed is above {test.alpha:g}). No effect can be trusted."
    )


def verdict(item: EvidenceView) -> str:
    """Return what one test says."""
    return VERDICTS.get(item.verdict, item.verdict)


def interval(item: EvidenceView) -> str:
    """Return an interval, open ends named as such."""
    if item.low is None and item.high is None:
        return "\N{EN DASH}"
    low = "below" if item.low is None else number(item.low, signed=True)
    high = "above" if item.high is None else number(item.high, signed=True)
    return f"{low} to {high}"


def number(value: float | None, *, signed: bool = False) -> str:
    """Return a number with four significant digits; a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:+.4g}" if signed and value != 0 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def p_value(value: float | None) -> str:
    """Return a p-value; tiny ones as a bound."""
    if value is None:
        return "\N{EN DASH}"
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def percent(share: float) -> str:
    """Return a share as whole percent, without rounding up to a full 100."""
    whole = round(100 * share)
    return f"{min(whole, 99) if share < 1 else whole} %"


def weight(value: int) -> str:
    """Return a weight out of 1000 as percent."""
    return f"{value / 10:g} %"


def traffic(weights: Mapping[str, int]) -> str:
    """Return all weights, control first; a dash for none. All zero says that they are being changed just now."""
    if weights and not any(weights.values()):
        return "changing"
    ordered = sorted(weights.items(), key=lambda item: (item[0] != STABLE_SLOT, item[0]))
    return ", ".join(f"{arm} {weight(value)}" for arm, value in ordered) or "\N{EN DASH}"


def duration(seconds: float) -> str:
    """Return a stretch of time in its one or two largest units."""
    seconds = max(0.0, seconds)
    for unit, name, below, smaller in ((_DAY, "day", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min")):
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            head = f"{whole:.0f} {name}{'s' if name == 'day' and whole != 1 else ''}"
            part = math.floor(rest / below)
            plain = part == 0 or (name == "day" and whole >= _DAYS_WITHOUT_HOURS)
            return head if plain else f"{head} {part} {smaller}"
    return f"{seconds / _MINUTE:.0f} min" if seconds >= _MINUTE else f"{seconds:.0f} s"


def moment(seconds: float | None) -> str:
    """Return a time as UTC to the second; a dash for none."""
    if seconds is None:
        return "\N{EN DASH}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
