"""Plans and reports as PNG files."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.reporting.analyze import Report


def _figure(height: float) -> tuple[Any, Any]:
    """Return a figure and its axes, drawn without a display."""
    # matplotlib's figure is used without pyplot, which would look for a display and keep global state.
    figure: Any = importlib.import_module("matplotlib.figure").Figure(figsize=(8.0, height), layout="constrained")
    return figure, figure.subplots()


def save_power_curve(path: Path, sizes: Sequence[int], powers: Sequence[float], required_n: int, power: float) -> None:
    """Write the power over the size per arm.

    Raises:
        ImportError: matplotlib is not installed (the `report` extra).
    """
    figure, axes = _figure(4.5)
    axes.plot(list(sizes), list(powers), linewidth=2)
    axes.axvline(required_n, linestyle="--", color="0.4")
    axes.axhline(power, linestyle=":", color="0.4")
    axes.annotate(f"{required_n:,} per arm", (required_n, 0.03), xytext=(6, 0), textcoords="offset points")
    axes.set_xlabel("users per arm")
    axes.set_ylabel("power to find the minimum effect")
    axes.set_ylim(0.0, 1.02)
    axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=120)


def save_intervals(path: Path, report: Report) -> None:
    """Write the intervals of all findings, each in units of its own reach so that they share one picture.

    Raises:
        ImportError: matplotlib is not installed (the `report` extra).
    """
    figure, axes = _figure(1.6 + 0.45 * len(report.findings))
    for row, item in enumerate(reversed(report.findings)):
        reach = max(abs(item.anytime_interval.low), abs(item.anytime_interval.high), 1e-300)
        axes.plot([end / reach for end in item.anytime_interval], [row, row], color="0.65", linewidth=2)
        axes.plot([end / reach for end in item.interval], [row, row], color="C0", linewidth=5, solid_capstyle="butt")
        axes.plot([item.difference / reach], [row], "o", color="white", markeredgecolor="C0", markersize=7)
        place = (item.difference / reach, row)
        axes.annotate(f"{item.difference:+.3g}", place, xytext=(0, 8), textcoords="offset points")
    axes.axvline(0.0, color="black", linewidth=1)
    axes.set_yticks(range(len(report.findings)), [f"{i.metric}: {i.arm}" for i in reversed(report.findings)])
    axes.set_ylim(-0.6, len(report.findings) - 0.2)
    axes.set_xticks([])
    axes.set_xlabel(f"difference from {report.control} (blue: one planned look, grey: valid at any time)")
    figure.savefig(str(path), dpi=120)
