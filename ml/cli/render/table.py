"""An estimate as a table: what it is for, how much of it, at which price from where."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.cli.render.cost import Estimate, Line

_WIDE: Final = 160


def render(estimate: Estimate, *, wide: bool) -> None:
    """Print an estimate."""
    console = Console(width=_WIDE if wide else None)
    if estimate.lines:
        table = Table("what", "a month", "amount", "price", "source", box=None, pad_edge=False)
        for line in estimate.lines:
            table.add_row(*(Text(cell) for cell in _cells(line)))
        console.print(table)
    for text in text_lines(estimate):
        console.print(Text(text))


def text_lines(estimate: Estimate) -> list[str]:
    """Return everything about an estimate that is not in its table."""
    prices = estimate.prices
    total = (
        f"{estimate.stack}: {estimate.monthly_usd:,.0f} {prices.currency} a month in {estimate.region}, "
        f"list prices of our own table of {prices.date.isoformat()}; ~ marks assumed amounts"
    )
    return [
        *([total] if estimate.region else []),
        *(f"not counted: {text}" for text in estimate.unpriced),
        *(f"note: {text}" for text in estimate.notes),
    ]


def as_data(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate for programs."""
    return {
        "stack": estimate.stack,
        "region": estimate.region,
        "currency": estimate.prices.currency,
        "pricesOf": estimate.prices.date.isoformat(),
        "monthly": round(estimate.monthly_usd, 2),
        "lines": [
            {
                "what": line.what,
                "monthly": round(line.monthly_usd, 2),
                "amount": line.amount,
                "unit": line.unit,
                "price": line.unit_usd,
                "assumed": line.assumed,
                "source": line.source,
            }
            for line in estimate.lines
        ],
        "notCounted": list(estimate.unpriced),
        "notes": list(estimate.notes),
    }


def _cells(line: Line) -> tuple[str, ...]:
    mark = "~" if line.assumed else ""
    return (
        line.what,
        f"{mark}{line.monthly_usd:,.2f}",
        f"{mark}{line.amount:,g}",
        f"{line.unit_usd:g} per {line.unit}",
        line.source,
    )
