"""`mlp experiment list`."""

from __future__ import annotations

import sys
from typing import Any, Final, cast

from rich.console import Console
from rich.table import Table

from ml.cli.experiment.answers import understood
from ml.cli.experiment.client import ApiClient
from ml.reporting.experiment.words import PHASES, moment, traffic

_WIDTH_WITHOUT_TERMINAL: Final = 160

Document = dict[str, Any]


async def collect(api: ApiClient, *, model: str | None, phase: str | None, limit: int) -> list[Document]:
    """Return the newest experiments."""
    found: list[Document] = []
    async for item in api.experiments(model=model, phase=phase):
        found.append(item)
        if len(found) == limit:
            break
    return found


def render(experiments: list[Document]) -> None:
    """Print experiments as a table."""
    on_terminal = sys.stdout.isatty()
    console = Console(width=None if on_terminal else _WIDTH_WITHOUT_TERMINAL)
    if not experiments:
        console.print("no experiments; `mlp experiment create` starts one")
        return
    table = Table(box=None, pad_edge=False)
    # What another program reads has names in one piece; a narrow terminal has no room for that.
    table.add_column("experiment", overflow="fold", no_wrap=not on_terminal)
    for column in ("state", "model", "traffic", "created", "by"):
        table.add_column(column, overflow="fold")
    for item in experiments:
        with understood(f"experiment {item.get('name', '?')}"):
            table.add_row(*_row(item))
    console.print(table)


def _row(item: Document) -> tuple[str, ...]:
    phase = str(item["phase"])
    return (
        str(item["name"]),
        PHASES.get(phase, phase).split(":")[0],
        str(item["model"]),
        traffic(cast("dict[str, int]", item.get("weights") or {})),
        moment(cast("float | None", item.get("createdAt"))),
        str(item.get("createdBy") or "-"),
    )
