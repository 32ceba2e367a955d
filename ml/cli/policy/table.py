"""Findings as a table, worst first."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from policies.engine import Report
from policies.report import ordered, summary, word

_WIDE: Final = 160
_STYLES: Final = {"refused": "bold red", "advised": "yellow", "unknown": "cyan", "exempt": "dim"}


def render(report: Report, *, wide: bool) -> None:
    """Print a report."""
    console = Console(width=_WIDE if wide else None)
    if report.judged:
        table = Table("verdict", "severity", "rule", "resource", "what", box=None, pad_edge=False)
        for item in ordered(report):
            verdict = Text(word(item), style=_STYLES[word(item)])
            what = item.excuse or f"{item.finding.message}{f' at {item.finding.path}' if item.finding.path else ''}"
            # Names come from manifests: shown as they are, never read as markup.
            cells = (item.rule.severity.value, item.rule.id, item.finding.resource.title, what)
            table.add_row(verdict, *(Text(cell) for cell in cells))
        console.print(table)
    console.print(Text(summary(report)))
