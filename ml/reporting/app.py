"""The commands `mlp plan` and `mlp analyze`: options and output only.

`register` adds them to a typer application. Heavy modules are imported when a command runs.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

_EXIT_BAD_INPUT = 2
_CURVE_POINTS = 11

_Png = Annotated[Path | None, typer.Option("--png", help="Also write a picture to this file.")]
_Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
_Alpha = Annotated[float, typer.Option(help="Chance of any false claim.")]


def register(app: typer.Typer) -> None:
    """Add `plan` and `analyze` to an application."""
    app.command()(plan)
    app.command()(analyze)


@contextmanager
def _explained() -> Generator[None]:
    """Turn what a person can repair into one line and an exit code."""
    try:
        yield
    except ImportError as error:
        typer.echo(f"error: {error.name} is not installed; install the `report` extra", err=True)
        raise typer.Exit(_EXIT_BAD_INPUT) from None
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_EXIT_BAD_INPUT) from None


def plan(
    baseline: Annotated[float, typer.Option(help="Expected value of the metric under control.")],
    effect: Annotated[float, typer.Option(help="Smallest absolute change worth finding.")],
    sd: Annotated[float | None, typer.Option(help="Standard deviation of a user; none for a proportion.")] = None,
    better: Annotated[Literal["increase", "decrease"], typer.Option(help="Direction of improvement.")] = "increase",
    treatments: Annotated[int, typer.Option(help="Arms besides control.")] = 1,
    alpha: _Alpha = 0.05,
    power: Annotated[float, typer.Option(help="Chance to find the effect.")] = 0.8,
    users_per_day: Annotated[float | None, typer.Option(help="New users per day, all arms; for the duration.")] = None,
    share: Annotated[float | None, typer.Option(help="Share of each treatment; equal shares by default.")] = None,
    ramp_hours: Annotated[float, typer.Option(help="Hours over which the treatments' shares grow.")] = 1.0,
    open_ended: Annotated[bool, typer.Option("--open-ended", help="Plan for confidence sequences.")] = False,
    png: _Png = None,
    as_json: _Json = False,
) -> None:
    """Plan an experiment: required users, duration, and the chance of each outcome."""
    from ml.experiments.specification import PrimaryMetric
    from ml.reporting.plan import make_plan, power_curve
    from ml.reporting.plots import save_power_curve
    from ml.reporting.text import curve_text, plan_text

    with _explained():
        primary = PrimaryMetric(
            name="primary", better=better, minimum_effect=effect, baseline=baseline, standard_deviation=sd
        )
        made = make_plan(
            primary,
            treatments=treatments,
            alpha=alpha,
            power=power,
            open_ended=open_ended,
            units_per_day=users_per_day,
            treatment_share=share,
            ramp_seconds=3600.0 * ramp_hours if users_per_day else 0.0,
        )
        top = 2 * made.size.required_n
        sizes = [max(2, round(top * k / (_CURVE_POINTS - 1))) for k in range(1, _CURVE_POINTS)]
        powers = power_curve(primary, sizes, treatments=treatments, alpha=alpha)
        if as_json:
            typer.echo(json.dumps(asdict(made), indent=2))
        else:
            typer.echo(plan_text(made) + "\n\n" + curve_text(sizes, powers))
        if png is not None:
            save_power_curve(png, sizes, powers, made.size.required_n, power)


def analyze(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet, one row per user or request.")],
    arm: Annotated[str, typer.Option(help="Column that names the arm.")] = "arm",
    control: Annotated[str, typer.Option(help="Name of the control arm.")] = "",
    metric: Annotated[list[str] | None, typer.Option(help="Metric column; all numeric columns by default.")] = None,
    user: Annotated[str, typer.Option(help="Column of the user, when a user has several rows.")] = "",
    epoch: Annotated[str, typer.Option(help="Column of the epoch, when weights changed on the way.")] = "",
    before: Annotated[list[str] | None, typer.Option(help="METRIC=COLUMN from before the start (CUPED).")] = None,
    quantile: Annotated[list[float] | None, typer.Option(help="Compare this quantile too, for example 0.95.")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="ARM=SHARE that was promised; equal by default.")] = None,
    alpha: _Alpha = 0.05,
    output: Annotated[Path | None, typer.Option(help="Write the report to this file instead of the terminal.")] = None,
    png: _Png = None,
    as_json: _Json = False,
) -> None:
    """Analyse any experiment from a file: health, effects with intervals, and a plot."""
    from ml.reporting.analyze import Question
    from ml.reporting.analyze import analyze as run
    from ml.reporting.plots import save_intervals
    from ml.reporting.reading import read_table
    from ml.reporting.text import report_text

    with _explained():
        question = Question(
            arm=arm,
            control=control,
            metrics=tuple(metric or ()),
            user=user,
            epoch=epoch,
            before=dict(_pairs("--before", before)),
            quantiles=tuple(quantile or ()),
            weights={name: float(value) for name, value in _pairs("--weight", weight)},
            alpha=alpha,
        )
        report = run(read_table(file), question)
        text = json.dumps(asdict(report), indent=2) if as_json else report_text(report)
        if output is not None:
            output.write_text(text + "\n", encoding="utf-8")
        else:
            typer.echo(text)
        if png is not None:
            save_intervals(png, report)


def _pairs(option: str, values: list[str] | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for value in values or ():
        name, separator, right = value.partition("=")
        if not (separator and name and right):
            raise ValueError(f"{option} {value!r}: allowed is NAME=VALUE")
        found.append((name, right))
    return found
