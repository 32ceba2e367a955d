"""What a reviewer of a change wants to know of every stack, as the Markdown of one comment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ml.cli.policy import rendering
from ml.cli.render.cost import Estimate, estimate
from ml.cli.render.difference import Difference, compare
from ml.cli.render.graph import parse
from ml.cli.render.prices import load as load_prices
from ml.cli.render.revisions import read_at
from policies import sources
from policies._model import Verdict
from policies.configuration import load as load_configuration
from policies.engine import Report, evaluate

MARK: Final = "<!-- mlplatform review -->"
"""First line of the comment, by which the next run finds it."""
_MOST_LINES: Final = 150
"""Of a stack's difference; GitHub takes 65,536 characters in a comment."""
_LONGEST_LINE: Final = 120


@dataclass(frozen=True, kw_only=True)
class Review:
    """One stack, before and after a change."""

    stack: str
    difference: Difference
    report: Report
    before: Estimate
    after: Estimate

    @property
    def refused(self) -> list[str]:
        """What the policies refuse, each in a line."""
        return [
            f"{item.rule.id}: {item.finding.resource.title}: {item.finding.message}"
            for item in self.report.judged
            if item.refuses
        ]


def review(stack: str, revision: str, today: date) -> Review:
    """Compare a stack with itself at another commit, judge it and estimate what it costs.

    Raises:
        UserError: stack or commit are not there, or the program fails.
    """
    before, text = read_at(revision, stack), rendering.lines(stack)
    after = parse(text, stack)
    prices = load_prices()
    return Review(
        stack=stack,
        difference=compare(before, after),
        report=evaluate(sources.from_lines(text), load_configuration(today), stack),
        before=estimate(before, prices),
        after=estimate(after, prices),
    )


def markdown(reviews: Sequence[Review]) -> str:
    """Return the comment."""
    lines = [
        MARK,
        "## What this changes",
        "",
        "| stack | added | removed | changed | refused by policy | cost a month (estimate, USD) |",
        "|---|---|---|---|---|---|",
        *(_row(item) for item in reviews),
    ]
    for item in reviews:
        lines += _refusals(item) + _details(item)
    return "\n".join([*lines, ""])


def _row(item: Review) -> str:
    found = item.difference
    change = item.after.monthly_usd - item.before.monthly_usd
    cost = f"{item.after.monthly_usd:,.0f} ({change:+,.0f})" if item.after.lines else "not estimated: a given cluster"
    unknown = len(item.report.of(Verdict.UNKNOWN))
    judged = f"{len(item.refused)}" + (f" and {unknown} not judged" if unknown else "")
    return f"| `{item.stack}` | {len(found.added)} | {len(found.removed)} | {len(found.changed)} | {judged} | {cost} |"


def _refusals(item: Review) -> list[str]:
    if not item.refused:
        return []
    return ["", f"**`{item.stack}` is refused:**", *(f"- {line}" for line in item.refused)]


def _details(item: Review) -> list[str]:
    lines = item.difference.lines()
    *shown, counted = [line[:_LONGEST_LINE] for line in lines]
    left = len(shown) - _MOST_LINES
    more = [f"... and {left} lines more: mlp render {item.stack} --diff-commit REV"] if left > 0 else []
    return [
        "",
        f"<details><summary><code>{item.stack}</code>: {counted}</summary>",
        "",
        "```diff",
        # A fence inside the fence would end it.
        *(line.replace("```", "'''") for line in (*shown[:_MOST_LINES], *more)),
        "```",
        "</details>",
    ]
