"""Shows the outcomes of checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.cli.verify.check import Outcome


def render(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a table, and below it what failed and what to do about it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("component", no_wrap=True)
    table.add_column("check")
    table.add_column("result", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("seen")
    for outcome in outcomes:
        result = Text("ok", style="green") if outcome.ok else Text("FAILED", style="bold red")
        seen = Text(outcome.detail if outcome.ok else "see below")
        table.add_row(Text(outcome.component), Text(outcome.what), result, f"{outcome.milliseconds:.0f}", seen)
    console.print(table)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    for outcome in failed:
        console.print(
            Text(f"\n{outcome.component}, {outcome.what}:\n  {outcome.detail}\n  remedy: {outcome.remedy}"),
            soft_wrap=True,
        )
    console.print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} checks passed", highlight=False)


def as_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the same as JSON data."""
    return {
        "ok": all(outcome.ok for outcome in outcomes),
        "checks": [
            {
                "component": outcome.component,
                "check": outcome.what,
                "ok": outcome.ok,
                "detail": outcome.detail,
                "remedy": outcome.remedy,
                "milliseconds": round(outcome.milliseconds, 1),
            }
            for outcome in outcomes
        ],
    }
