"""`mlp experiment show`: state in words, the interval as a plot, and the tables."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ml.cli.errors import UserError
from ml.cli.experiment.answers import understood
from ml.cli.experiment.client import ApiClient
from ml.cli.experiment.plot import effect_plot
from ml.reporting.experiment import tables
from ml.reporting.experiment.results import ExperimentResults
from ml.reporting.experiment.words import moment, sample_ratio_sentence, state_sentence, traffic

_WIDTH_WITHOUT_TERMINAL: Final = 120


async def show_once(api: ApiClient, name: str) -> None:
    """Print an experiment once."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    console.print(rendered(await read(api, name), console.width, time.time()))


async def show_live(api: ApiClient, name: str, interval_seconds: float) -> None:
    """Keep an experiment on the screen until it has ended, or the reader leaves with Ctrl-C.

    A platform that does not answer for a while is said so, above what was known last.
    """
    console = Console()
    results = await read(api, name)
    with Live(rendered(results, console.width, time.time()), console=console, auto_refresh=False) as live:
        while not results.is_over:
            await asyncio.sleep(interval_seconds)
            warning = ""
            try:
                results = await read(api, name)
            except UserError as error:
                warning = f"old numbers: {error.what}"
            live.update(rendered(results, console.width, time.time(), warning), refresh=True)


async def read(api: ApiClient, name: str) -> ExperimentResults:
    """Return the results of an experiment."""
    document = await api.results(name)
    with understood("the answer of the API"):
        return ExperimentResults.model_validate(document)


def rendered(results: ExperimentResults, width: int, now: float, warning: str = "") -> RenderableType:
    """Return an experiment for the terminal."""
    parts: list[RenderableType] = [
        Text(results.name, style="bold"),
        Text(state_sentence(results, now), style="bold"),
        Text(
            f"model {results.model}   traffic {traffic(results.weights)}   newest decision {moment(results.looked_at)}"
        ),
    ]
    if warning:
        parts.insert(0, Text(warning, style="bold red"))
    for arm in results.treatments:
        plot = effect_plot(results, arm, width)
        if plot:
            parts += [Text(), Text(plot)]
    sections = (
        ("Guardrails", tables.guardrails(results)),
        ("Values per arm", tables.values(results)),
        (f"Differences to {results.control}", tables.comparisons(results)),
    )
    for title, data in sections:
        if data.rows:
            parts += [Text(), Text(title, style="bold"), _table(data)]
    parts += [Text(), Text(f"Sample ratio: {sample_ratio_sentence(results)}")]
    if results.reasons:
        parts.append(Text(f"Newest decision: {results.action} ({'; '.join(r.message for r in results.reasons)})"))
    return Group(*parts)


def _table(data: tables.Table) -> Table:
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(data.columns):
        table.add_column(column, justify="right" if index in data.numeric else "left", overflow="fold")
    for row in data.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
