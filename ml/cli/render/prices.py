"""The table of prices: figures of our own, dated, each with where it is from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

FILE: Final = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A type of instance in one region."""

    type: str
    hourly_usd: float
    cpus: int
    memory_gib: int
    gpus: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one unit of something costs."""

    unit: str
    usd: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Everything that is known of prices at a date."""

    date: date
    currency: str
    hours_per_month: float
    machines: Mapping[tuple[str, str], Machine]
    """By region and type."""
    prices: Mapping[tuple[str, str], Price]
    """By region and item."""
    assumed: Mapping[str, float]
    """Amounts that no program says."""

    def cheapest(self, region: str, families: tuple[str, ...], gpus: int = 0) -> Machine | None:
        """Return the cheapest known machine of some families with this many GPUs."""
        found = [
            machine
            for (place, kind), machine in self.machines.items()
            if place == region and kind.partition(".")[0] in families and machine.gpus == gpus
        ]
        return min(found, key=lambda machine: machine.hourly_usd, default=None)


def load(file: Path = FILE) -> Prices:
    """Read the table."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return Prices(
        date=content["date"],
        currency=content["currency"],
        hours_per_month=content["hours_per_month"],
        machines={(row["region"], row["type"]): _machine(row) for row in _rows(content, "instance")},
        prices={
            (row["region"], row["item"]): Price(unit=row["unit"], usd=row["usd"], source=row["source"])
            for row in _rows(content, "price")
        },
        assumed=content["assume"],
    )


def _machine(row: Mapping[str, Any]) -> Machine:
    return Machine(
        type=row["type"],
        hourly_usd=row["usd"],
        cpus=row["cpus"],
        memory_gib=row["memory_gib"],
        gpus=row.get("gpus", 0),
        source=row["source"],
    )


def _rows(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", content[name])
