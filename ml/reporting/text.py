"""Plans and reports as Markdown, with intervals drawn in characters."""

from __future__ import annotations

from collections.abc import Sequence

from ml.reporting.analyze import Report
from ml.reporting.findings import Finding
from ml.reporting.plan import Plan

_PLOT_WIDTH = 41


def plan_text(plan: Plan) -> str:
    """Return a plan as Markdown."""
    size, deviation = plan.size, plan.primary.standard_deviation
    unit = "" if deviation is None else f", standard deviation {deviation:g}"
    mode = "open-ended (confidence sequences)" if plan.open_ended else "planned (alpha spending)"
    lines = [
        "# Plan",
        "",
        f"Find {plan.primary.better} of {plan.primary.minimum_effect:g} from {plan.primary.baseline:g}{unit}",
        f"with power {plan.power:g} at alpha {plan.alpha:g}, {plan.treatments + 1} arms, {mode}.",
        "",
        f"- required: **{size.required_n:,} users per arm** ({size.inflation:.3f} x the {size.fixed_n:,} of one look)",
        f"- expected when the effect is real: {size.expected_n:,} per arm; without effect: {size.expected_n_null:,}",
    ]
    if plan.duration is not None:
        days = plan.duration.seconds / 86_400.0
        lines.append(f"- duration: {days:,.1f} days at the most (run whole weeks: {plan.duration.whole_weeks})")
    lines += [
        "",
        "| true effect | promoted | rolled back | inconclusive | users per arm |",
        "|---:|---:|---:|---:|---:|",
    ]
    for item in plan.outcomes:
        lines.append(
            f"| {item.effect:+.4g} | {item.promoted:.1%} | {item.rolled_back:.1%} "
            f"| {item.inconclusive:.1%} | {item.expected_n:,} |"
        )
    return "\n".join(lines)


def curve_text(sizes: Sequence[int], powers: Sequence[float]) -> str:
    """Return a power curve as bars."""
    rows = [f"{n:>12,}  {'#' * round(40 * power):<40} {power:.0%}" for n, power in zip(sizes, powers, strict=True)]
    return "\n".join(["users per arm  power", *rows])


def report_text(report: Report) -> str:
    """Return a report as Markdown."""
    level = f"{1 - report.question.alpha:.0%}"
    lines = [f"# Experiment report (control: {report.control})", "", "## Health", ""]
    lines += [f"- {arm}: {count:,} users" for arm, count in report.units.items()]
    lines.append(f"- {_ratio_line(report)}")
    lines += [
        "",
        "## Metrics",
        "",
        f"| metric | arm | control | treatment | difference | {level} interval | p | p (Holm) | chance to win |",
        "|---|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for item in report.findings:
        lines.append(
            f"| {item.metric} | {item.arm} | {item.control_value:.5g} | {item.treatment_value:.5g} "
            f"| {item.difference:+.4g} | {item.interval.low:+.4g} to {item.interval.high:+.4g} "
            f"| {item.p_value:.3g} | {item.adjusted_p_value:.3g} | {item.chance_to_win:.1%} |"
        )
    lines += ["", f"## Intervals ({level}; `=` at one planned look, `-` valid at any time)", "", "```"]
    lines += [plot_line(item) for item in report.findings]
    lines += ["```", "", "## Methods", ""]
    for item in report.findings:
        note = f"; {item.note}" if item.note else ""
        lines.append(f"- {item.metric}, {item.arm}: {item.method}{note}")
    lines += [
        "",
        "The interval in the table and p hold if the end of the experiment was set beforehand. If it was stopped",
        "because of what was seen, only the wider interval (`-`) holds. Chance to win is never a reason to stop.",
    ]
    return "\n".join(lines)


def _ratio_line(report: Report) -> str:
    if report.sample_ratio is None:
        return "sample ratio: not tested on pooled counts, because weights changed between epochs"
    verdict = "sound" if report.sample_ratio.p_value >= 0.001 else "**MISMATCH: do not trust the effects below**"
    test = report.sample_ratio
    return f"sample ratio: {verdict} (chi-square {test.statistic:.2f}, p = {test.p_value:.3g})"


def plot_line(item: Finding) -> str:
    """Draw the two intervals of a finding around zero."""
    reach = max(abs(item.anytime_interval.low), abs(item.anytime_interval.high), 1e-300)
    middle = _PLOT_WIDTH // 2

    def column(value: float) -> int:
        return max(0, min(_PLOT_WIDTH - 1, middle + round(value / reach * middle)))

    cells = [" "] * _PLOT_WIDTH
    for low, high, mark in ((*item.anytime_interval, "-"), (*item.interval, "=")):
        for position in range(column(low), column(high) + 1):
            cells[position] = mark
    cells[middle] = "|"
    cells[column(item.difference)] = "o"
    return f"{item.metric + ' ' + item.arm:<36.36} {''.join(cells)} +-{reach:.3g}"
