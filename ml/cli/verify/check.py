"""Runs checks side by side, each with a time limit, and says how each ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ml.cli.errors import UserError
from ml.cli.together import together


@dataclass(frozen=True, kw_only=True)
class Check:
    """One use of one component."""

    component: str
    what: str
    run: Callable[[], Awaitable[str]]
    """Does it and returns what was seen; raises when it does not work."""
    has_logs: bool = True
    """Whether `mlp logs` knows the component."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a check ended."""

    component: str
    what: str
    ok: bool
    detail: str
    remedy: str
    milliseconds: float


async def run_checks(
    checks: Sequence[Check],
    *,
    timeout_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Run all checks at once and return their outcomes in the same order; a failed check stops no other."""

    async def outcome(check: Check) -> Outcome:
        started = clock()
        detail, remedy = "", ""
        ok = False
        try:
            async with asyncio.timeout(timeout_seconds):
                detail = await check.run()
            ok = True
        except UserError as error:
            detail, remedy = error.what, error.remedy
        except TimeoutError:
            detail, remedy = f"not done within {timeout_seconds:g} s", _logs_of(check)
        except Exception as error:  # noqa: BLE001 the libraries of the checks raise their own kinds
            words = " ".join(str(error).split())
            detail, remedy = f"{type(error).__name__}: {words}", _logs_of(check)
        return Outcome(
            component=check.component,
            what=check.what,
            ok=ok,
            detail=detail,
            remedy=remedy,
            milliseconds=(clock() - started) * 1000,
        )

    return await together(*(outcome(check) for check in checks))


def _logs_of(check: Check) -> str:
    return f"see `mlp logs {check.component}`" if check.has_logs else "see `mlp status`"
