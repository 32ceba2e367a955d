"""Asking the metric sources once for many experiments, without letting one of them spoil the answer of all."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from ml.controller.evidence import requests_since
from ml.controller.observer import Failure, Measured, Ports, Trouble, attempt
from ml.controller.ports import UnavailableError
from ml.controller.state import ExperimentState
from ml.controller.timing import decision_is_due
from ml.events.ports import StoreUnavailableError

LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


async def measure(ports: Ports, states: Mapping[str, ExperimentState], now: float) -> Measured:
    """Ask the metric sources for all experiments whose decision is due.

    A source that does not answer says nothing of any of them. An answer that makes no sense for one of them concerns
    that one alone: nothing new is known of it, and the failure is told with it.

    Args:
        ports: the outside.
        states: of experiments, by id.
        now: seconds since 1970.
    """
    due = {uid: state for uid, state in states.items() if state.is_running and decision_is_due(state, now)}
    if not due:
        return Measured()
    trouble = Trouble("metrics")
    moments = {state.promised.model: requests_since(state) for state in due.values()}
    wanted = {model: moment for model, moment in moments.items() if moment is not None}
    outcomes = await attempt("outcomes", _apart(ports.outcomes.sums, list(due)), trouble)
    requests = await attempt(
        "requests",
        _apart(lambda models: ports.requests.since({model: wanted[model] for model in models}), list(wanted)),
        trouble,
    )
    sums, bad_sums = outcomes or ({}, {})
    windows, bad_windows = requests or ({}, {})
    failures = {uid: Failure("outcomes", error) for uid, error in bad_sums.items()}
    for uid, state in due.items():
        if state.promised.model in bad_windows:
            failures.setdefault(uid, Failure("requests", bad_windows[state.promised.model]))
    return Measured(outcomes=sums, requests=windows, asked=frozenset(due), failures=failures)


async def _apart(
    ask: Callable[[Sequence[str]], Awaitable[Mapping[str, _T]]], names: Sequence[str]
) -> tuple[Mapping[str, _T], Mapping[str, Exception]]:
    """Ask about all at once; where that fails, about each half of them, down to those that it fails for.

    Returns:
        The answers and the failures, by name.

    Raises:
        UnavailableError: nobody answers.
        StoreUnavailableError: likewise.
    """
    if not names:
        return {}, {}
    try:
        return await ask(names), {}
    except (UnavailableError, StoreUnavailableError):
        raise
    except Exception as error:
        if len(names) == 1:
            LOG.exception("what is known of %s cannot be read", names[0])
            return {}, {names[0]: error}
    half = len(names) // 2
    (first, first_failed), (second, second_failed) = await _apart(ask, names[:half]), await _apart(ask, names[half:])
    return {**first, **second}, {**first_failed, **second_failed}
