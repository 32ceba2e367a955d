"""Shows the state of a platform."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.cli.status.report import StatusReport
from ml.cli.status.slots import SlotStatus
from ml.contracts import STABLE_SLOT

_EMPTY: Final = "empty"
"""Phase of a version sync whose alias names no version."""


def render(report: StatusReport, console: Console) -> None:
    """Print one table of components and one of slots, and below them what is wrong."""
    console.print(f"stack {report.stack}, namespace {report.namespace}\n", highlight=False)
    console.print(_components(report))
    console.print()
    console.print(_slots(report))
    notes = _notes(report)
    if notes:
        console.print("\nneeds attention", style="bold")
        for note in notes:
            console.print(Text(f"  {note}"), soft_wrap=True)
    console.print(Text("\nready" if report.ready else "\nnot ready", style="green" if report.ready else "red"))


def _components(report: StatusReport) -> Table:
    table = _table("component", "ready", "restarts", "namespace")
    for part in report.components:
        ready = Text(f"{part.ready}/{part.wanted}", style="green" if part.is_ready else "bold red")
        table.add_row(Text(part.name), ready, str(part.restarts), Text(part.namespace))
    return table


def _slots(report: StatusReport) -> Table:
    table = _table("model", "slot", "traffic", "alias", "wanted", "served", "state", "ready", "restarts")
    for slot in report.slots:
        weight = report.weights.get(slot.model, {}).get(slot.slot)
        table.add_row(
            Text(slot.model),
            Text(slot.slot),
            "no split" if weight is None else f"{weight} %",
            Text(slot.alias),
            Text(slot.wanted_version or "-"),
            Text(slot.served_version or "-"),
            Text(slot.state),
            _readiness(slot),
            str(slot.restarts),
        )
    return table


def _readiness(slot: SlotStatus) -> Text:
    if slot.ready:
        return Text("yes", style="green")
    # A candidate slot whose alias names no version waits by design.
    return Text("no", style="bold red" if slot.slot == STABLE_SLOT or slot.error else "dim")


def _notes(report: StatusReport) -> list[str]:
    notes = [f"{part.name}: {part.reason}" for part in report.components if part.reason]
    notes += [f"job {job.name}: {job.state}{f', {job.reason}' if job.reason else ''}" for job in report.jobs]
    notes += [f"{slot.model} {slot.slot}: {slot.error}" for slot in report.slots if slot.error]
    notes += [
        f"{slot.model} {slot.slot}: no version has the alias {slot.alias}; `mlp train` makes the first"
        for slot in report.slots
        if slot.slot == STABLE_SLOT and slot.state == _EMPTY
    ]
    notes += [
        f"{model}: there is no split, so the gateway answers 404; see `mlp logs controller`"
        for model, weights in report.weights.items()
        if not weights
    ]
    return notes


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
