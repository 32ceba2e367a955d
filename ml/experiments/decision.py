"""The rule of an experiment as one pure function: specification, history and time in, decision out.

Order of questions, each with its own share of alpha, so that all false claims together stay within alpha:
1. Is the assignment sound? (sequential sample ratio test over epochs) If not: invalid.
2. Does a treatment do harm? (one-sided confidence sequences on guardrails and on the primary) If so: roll back.
3. Are the data fresh? If not: hold, until the time is over. Missing data are never evidence for anything.
4. Is a treatment better? (alpha spending, or a confidence sequence when open-ended) If so: promote the best of those
   that still are and that no guardrail keeps back, once every other treatment has the minimum sample too.
5. Is the experiment over, or success out of reach? Then: inconclusive.
6. Are the weights due to change? Then: ramp. Else: continue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ml.experiments import validation as check
from ml.experiments.claims import primary_claims
from ml.experiments.evidence import Evidence
from ml.experiments.harm import rollback_evidence
from ml.experiments.history import History, LookRecord
from ml.experiments.measured import Measurements
from ml.experiments.ramp import all_to, weights_at
from ml.experiments.secondary import secondary_evidence
from ml.experiments.specification import ExperimentSpec
from ml.experiments.srm import Epoch, SequentialRatioTest, sequential_epoch_sample_ratio_test

Action = Literal["continue", "ramp", "hold", "promote", "roll back", "inconclusive", "invalid"]
Code = Literal[
    "start",
    "ramp_due",
    "running",
    "no_data_yet",
    "stale_data",
    "metric_missing",
    "no_data_timeout",
    "sample_ratio_mismatch",
    "unexpected_units",
    "guardrail_breached",
    "primary_worse",
    "all_treatments_dropped",
    "primary_better",
    "guardrail_unproven",
    "claim_no_longer_holds",
    "treatment_too_early",
    "sample_reached",
    "time_up",
    "futile",
]
CLOCK_SKEW_SECONDS: Final = 60.0
"""Data from up to this far in the future count as fresh; clocks differ."""


@dataclass(frozen=True)
class Reason:
    """Why a decision was taken: a code for machines, a sentence for people."""

    code: Code
    message: str
    arm: str | None = None
    metric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do now, and everything it rests on.

    Attributes:
        action: what to do.
        arms: the treatments it is about: one to promote, or those to roll back.
        weights: that should be in force after it.
        reasons: at least one.
        evidence: all tests made, whatever came out.
        sample_ratio: state of the sample ratio test; None before the first unit.
        look: to be appended to the history's looks, when alpha was spent.
        at: the time it was taken for.
    """

    action: Action
    arms: tuple[str, ...]
    weights: Mapping[str, int]
    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]
    sample_ratio: SequentialRatioTest | None
    look: LookRecord | None
    at: float


def decide(spec: ExperimentSpec, history: History, now: float) -> Decision:
    """Decide an experiment.

    The same arguments always give the same decision, bit for bit; nothing else is read.

    Args:
        spec: the rule.
        history: what has happened.
        now: seconds since 1970.

    Raises:
        ValueError: now is not finite, or the history names arms that the specification does not have.
    """
    check.finite("now", now)
    _check_names(spec, history)
    current = history.epochs[-1].weights if history.epochs else all_to(spec, spec.control)
    draft = Decision(
        action="continue",
        arms=(),
        weights=dict(current),
        reasons=(),
        evidence=(),
        sample_ratio=None,
        look=None,
        at=now,
    )
    active = tuple(arm for arm in spec.treatments if arm not in history.dropped)
    if not active:
        reason = Reason("all_treatments_dropped", "every treatment has been rolled back")
        weights = all_to(spec, spec.control)
        return replace(draft, action="roll back", arms=spec.treatments, weights=weights, reasons=(reason,))
    if not history.epochs:
        weights = weights_at(spec, 0.0, history.dropped)
        return replace(draft, action="ramp", weights=weights, reasons=(Reason("start", "no weights are in force yet"),))
    ratio, notes = _sample_ratio(spec, history)
    draft = replace(draft, sample_ratio=ratio, reasons=notes)
    if ratio is not None and ratio.p_value <= spec.sample_ratio_alpha:
        message = f"arms do not hold the promised shares (p = {ratio.p_value:.2g}); no effect can be trusted"
        return _end(spec, draft, "invalid", Reason("sample_ratio_mismatch", message))
    return _weigh(spec, history, now, active, draft)


def _weigh(spec: ExperimentSpec, history: History, now: float, active: Sequence[str], draft: Decision) -> Decision:
    """Questions 2 to 6."""
    data = Measurements(history)
    harm = rollback_evidence(spec, data, active)
    draft = replace(draft, evidence=tuple(harm))
    breached = [item for item in harm if item.verdict == "worse"]
    if breached:
        return _roll_back(spec, history, now, draft, breached)
    waiting = _waiting(spec, data, now, active)
    if waiting is not None:
        since = history.last_data_at if history.last_data_at is not None else history.started_at
        if now - since > spec.no_data_timeout_seconds:
            message = f"no usable data for {now - since:.0f} s"
            return _end(spec, draft, "inconclusive", waiting, Reason("no_data_timeout", message))
        if spec.is_over(now - history.started_at):
            return _end(spec, draft, "inconclusive", waiting, Reason("time_up", "the time is over"))
        return replace(draft, action="hold", reasons=(*draft.reasons, waiting))
    claims = primary_claims(spec, data, now, active)
    secondary = secondary_evidence(spec, data, active, decided=bool(claims.crossed))
    draft = replace(draft, evidence=(*harm, *claims.evidence, *secondary), look=claims.look)
    unproven = _unproven(spec, harm)
    ready = [arm for arm in claims.crossed if arm not in unproven and claims.gain(arm) > 0.0]
    awaited = claims.awaited(spec, ready)
    if ready and not awaited:
        best = max(ready, key=lambda arm: claims.gain(arm))
        reason = Reason("primary_better", f"{best} improves {spec.primary.name}", best, spec.primary.name)
        return replace(
            draft, action="promote", arms=(best,), weights=all_to(spec, best), reasons=(*draft.reasons, reason)
        )
    pending = tuple(_pending(arm, unproven, awaited if arm in ready else ()) for arm in claims.crossed)
    if claims.ended is not None:
        return _end(spec, draft, "inconclusive", *pending, Reason(*claims.ended))
    due = weights_at(spec, now - history.started_at, history.dropped)
    if due != dict(history.epochs[-1].weights):
        reason = Reason("ramp_due", f"{now - history.started_at:.0f} s after the start")
        return replace(draft, action="ramp", weights=due, reasons=(*draft.reasons, *pending, reason))
    running = Reason("running", "no boundary is crossed yet")
    return replace(draft, reasons=(*draft.reasons, *pending, running))


def _check_names(spec: ExperimentSpec, history: History) -> None:
    for index, epoch in enumerate(history.epochs):
        if set(epoch.weights) != set(spec.arms):
            raise ValueError(
                f"history.epochs[{index}].weights names {sorted(epoch.weights)}: allowed are exactly {list(spec.arms)}"
            )
        unknown = set(epoch.units) - set(spec.arms)
        if unknown:
            raise ValueError(f"history.epochs[{index}].units names {sorted(unknown)}: allowed are {list(spec.arms)}")
    unknown = set(history.dropped) - set(spec.treatments)
    if unknown:
        raise ValueError(f"history.dropped={sorted(unknown)}: allowed are {list(spec.treatments)}")


def _sample_ratio(spec: ExperimentSpec, history: History) -> tuple[SequentialRatioTest | None, tuple[Reason, ...]]:
    """Test the ratio over all epochs; units in an arm without weight are reported and left out."""
    epochs: list[Epoch] = []
    stray: list[str] = []
    for record in history.epochs:
        weights = [record.weights[arm] for arm in spec.arms]
        units = [record.units.get(arm, 0) for arm in spec.arms]
        stray += [arm for arm, w, n in zip(spec.arms, weights, units, strict=True) if w == 0 and n > 0]
        counted = [n if w > 0 else 0 for w, n in zip(weights, units, strict=True)]
        if sum(counted) > 0:
            epochs.append(Epoch(weights, counted))
    notes = tuple(
        Reason("unexpected_units", f"{arm} saw units while its weight was 0", arm) for arm in sorted(set(stray))
    )
    return (sequential_epoch_sample_ratio_test(epochs) if epochs else None), notes


def _roll_back(
    spec: ExperimentSpec, history: History, now: float, draft: Decision, breached: Sequence[Evidence]
) -> Decision:
    arms = tuple(arm for arm in spec.treatments if any(item.arm == arm for item in breached))
    dropped = (*history.dropped, *arms)
    left = [arm for arm in spec.treatments if arm not in dropped]
    weights = weights_at(spec, now - history.started_at, dropped) if left else all_to(spec, spec.control)
    reasons = tuple(
        Reason(
            "primary_worse" if item.role == "primary harm" else "guardrail_breached",
            f"{item.metric} of {item.arm} is worse than allowed (p = {item.p_value:.2g})",
            item.arm,
            item.metric,
        )
        for item in breached
    )
    return replace(draft, action="roll back", arms=arms, weights=weights, reasons=(*draft.reasons, *reasons))


def _waiting(spec: ExperimentSpec, data: Measurements, now: float, active: Sequence[str]) -> Reason | None:
    """Say why the data cannot be weighed now; None when they can."""
    history = data.history
    if history.last_data_at is None:
        return Reason("no_data_yet", "no observation has been made yet")
    age = now - history.last_data_at
    if age > spec.stale_after_seconds:
        return Reason("stale_data", f"the newest observation is {age:.0f} s old")
    if age < -CLOCK_SKEW_SECONDS:
        return Reason("stale_data", f"the newest observation claims to be {-age:.0f} s in the future")
    for arm in (spec.control, *active):
        if not data.knows(spec.primary.name, arm):
            return Reason("metric_missing", f"{spec.primary.name} of {arm} is not known", arm, spec.primary.name)
    return None


def _unproven(spec: ExperimentSpec, harm: Sequence[Evidence]) -> Mapping[str, str]:
    """Map each treatment whose safety still needs proof to the first metric that lacks it.

    A guardrail needs it that asks for it, and any metric that looks harmful, or is kept from view, where no test can
    judge.
    """
    needed = {guardrail.name for guardrail in spec.guardrails if guardrail.proof}
    lacking = [
        item
        for item in harm
        if item.verdict == "suspect" or (item.role == "guardrail" and item.metric in needed and item.verdict != "safe")
    ]
    return {item.arm: item.metric for item in reversed(lacking)}


def _pending(arm: str, unproven: Mapping[str, str], awaited: Sequence[str]) -> Reason:
    """Say why a treatment that is better, or was at an earlier look, is not promoted yet."""
    if arm in unproven:
        return Reason("guardrail_unproven", f"{arm} is better, but {unproven[arm]} is not yet shown to be safe", arm)
    if not awaited:
        message = f"{arm} was better at an earlier look, but is not at present"
        return Reason("claim_no_longer_holds", message, arm)
    message = f"{arm} is better, but {awaited[0]} has not had enough units yet to be compared with it"
    return Reason("treatment_too_early", message, arm)


def _end(spec: ExperimentSpec, draft: Decision, action: Action, *reasons: Reason) -> Decision:
    """Close the experiment with all traffic back on control."""
    return replace(draft, action=action, weights=all_to(spec, spec.control), reasons=(*draft.reasons, *reasons))
