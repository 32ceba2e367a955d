"""One experiment: state in words, charts, tables, log."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ml.api.page.layout import facts, notice, page, section, table
from ml.api.page.listing import experiment_path, phase_badge
from ml.api.page.source import CommandRow, DecisionRow, Visitor
from ml.reporting.experiment import tables
from ml.reporting.experiment.charts import effect_chart, traffic_chart
from ml.reporting.experiment.commands import COMMANDS, offered
from ml.reporting.experiment.markup import Child, Markup, tag, together
from ml.reporting.experiment.results import ExperimentResults
from ml.reporting.experiment.words import (
    ACTIONS,
    duration,
    moment,
    percent,
    sample_ratio_sentence,
    state_sentence,
    traffic,
)

POLL_SECONDS: Final = 5
LOG_LENGTH: Final = 15
_SHORT_HASH: Final = 12


@dataclass(frozen=True, kw_only=True)
class Detail:
    """Everything that the page of one experiment shows."""

    results: ExperimentResults
    decisions: Sequence[DecisionRow]
    commands: Sequence[CommandRow]
    now: float
    before: int | None = None
    """The decision log shows decisions before this position; None: the newest."""


def version_of(detail: Detail) -> str:
    """Return a tag that is the same as long as nothing on the page would change."""
    minute = 0 if detail.results.is_over else int(detail.now // 60)
    text = f"{detail.results.model_dump_json()}{detail.commands!r}{detail.before}{minute}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def detail_page(detail: Detail, *, visitor: Visitor, session: str, done: str = "") -> str:
    """Return the page of one experiment."""
    results = detail.results
    sentence = state_sentence(results, detail.now)
    live = tag(
        "div",
        _state(detail, sentence),
        *(_effect(results, arm) for arm in results.treatments),
        _traffic(detail),
        _guardrails(results),
        _metrics(results),
        _sample_ratio(results),
        _decisions(detail),
        _commands(detail.commands),
        id="live",
        data_version=version_of(detail),
        data_state=sentence,
        data_over="true" if results.is_over else "false",
        data_every_seconds=POLL_SECONDS,
    )
    return page(
        results.name,
        tag("div", tag("h1", results.name), tag("div", _buttons(results, visitor), id="offered"), class_="title"),
        _done(done),
        tag("p", id="heard", class_="heard", role="status", aria_live="polite"),
        live,
        visitor=visitor,
        session=session,
        live=not results.is_over,
    )


def _done(action: str) -> Markup | None:
    if action not in COMMANDS:
        return None
    return notice("good", f"Asked for: {COMMANDS[action].label.lower()}", "The controller answers at its next look.")


def _buttons(results: ExperimentResults, visitor: Visitor) -> Markup | None:
    actions = offered(results.phase, paused=results.paused)
    if not visitor.may_decide or not actions:
        return None
    links = [
        tag(
            "a",
            f"{COMMANDS[action].label}\N{HORIZONTAL ELLIPSIS}",
            href=f"{experiment_path(results.name)}/{action}",
            class_=f"button {'danger' if COMMANDS[action].is_final else ''}".strip(),
        )
        for action in actions
    ]
    return tag("nav", *links, aria_label="Commands", class_="buttons")


def _state(detail: Detail, sentence: str) -> Markup:
    results = detail.results
    share = results.fraction
    sample: Child = "\N{EN DASH}"
    if share is not None:
        text = f"{percent(share)} of {results.primary.planned_per_arm:,} per arm"
        bar = tag("progress", percent(share), max=1, value=min(share, 1.0), aria_label="Sample so far")
        sample = together(text, bar)
    length = "no limit" if results.duration_seconds is None else duration(results.duration_seconds)
    return tag(
        "section",
        tag("h2", "State", id="state-heading", class_="quiet"),
        tag("p", phase_badge(results.phase), class_="state-badge"),
        tag("p", sentence, class_="sentence"),
        facts(
            ("Model", tag("code", results.model)),
            ("Traffic now", traffic(results.weights)),
            ("Sample", sample),
            ("Started", moment(results.started_at)),
            ("Longest duration", length),
            ("Newest decision", moment(results.looked_at)),
            ("Asked for by", results.by or "\N{EN DASH}"),
        ),
        tag("p", "No answer from the platform: these numbers are old.", class_="old"),
        aria_labelledby="state-heading",
        class_="card state",
        id="state",
    )


def _effect(results: ExperimentResults, arm: str) -> Markup:
    better = "above" if results.primary.better == "increase" else "below"
    text = (
        f"Difference of {results.primary.metric} to {results.control}. "
        f"{arm} is promoted once its estimate is {better} the dashed line."
    )
    legend = tag(
        "ul",
        *(
            tag("li", tag("span", class_=f"key {kind}", aria_hidden="true"), words)
            for kind, words in (
                ("estimate", "estimate"),
                ("interval", "interval, valid at every look"),
                ("needed", "needed for promotion"),
                ("aim", "smallest effect worth finding"),
                ("zero", "no difference"),
            )
        ),
        class_="legend",
    )
    figure = tag("figure", effect_chart(results, arm), tag("figcaption", text, legend))
    data = tables.timeline(results, arm)
    more = tag(
        "details",
        tag("summary", "The same as a table"),
        table(f"{results.primary.metric} of {arm} over time", data.columns, data.rows, numeric=data.numeric),
        id=f"effect-{arm}-data",
    )
    return section(
        f"{results.primary.metric}: {arm} against {results.control}",
        figure,
        more if data.rows else None,
        name=f"effect-{arm}-section",
    )


def _traffic(detail: Detail) -> Markup:
    results = detail.results
    until = results.ended_at or max(detail.now, results.looked_at or 0.0)
    arms = (results.control, *results.treatments)
    legend = tag(
        "ul",
        *(tag("li", tag("span", class_=f"key arm-{index}", aria_hidden="true"), arm) for index, arm in enumerate(arms)),
        class_="legend",
    )
    figure = tag("figure", traffic_chart(results, until), tag("figcaption", "Share of the requests per arm.", legend))
    data = tables.traffic(results)
    more = tag(
        "details",
        tag("summary", "The same as a table"),
        table("Weights over time", data.columns, data.rows, numeric=data.numeric),
        id="traffic-data",
    )
    return section("Traffic", figure, more if data.rows else None, name="traffic-section")


def _guardrails(results: ExperimentResults) -> Markup:
    data = tables.guardrails(results)
    if not data.rows:
        return section("Guardrails", tag("p", _not_compared(results), class_="empty"), name="guardrails")
    caption = "What must not get worse; promotion or rollback may follow from it at any look"
    return section("Guardrails", table(caption, data.columns, data.rows, numeric=data.numeric), name="guardrails")


def _not_compared(results: ExperimentResults) -> str:
    """Say why there is no comparison: none yet, or the newest decision needed none."""
    if results.looked_at is None:
        return "No comparison has been made yet."
    return "The newest decision was taken without comparing the arms."


def _metrics(results: ExperimentResults) -> Markup:
    values, compared = tables.values(results), tables.comparisons(results)
    return section(
        "Metrics per arm",
        table("Values per arm over all epochs, as reported", values.columns, values.rows, numeric=values.numeric)
        if values.rows
        else None,
        table(
            f"Differences to {results.control}, stratified by epoch",
            compared.columns,
            compared.rows,
            numeric=compared.numeric,
        )
        if compared.rows
        else tag("p", _not_compared(results), class_="empty"),
        name="metrics",
    )


def _sample_ratio(results: ExperimentResults) -> Markup:
    sentence = sample_ratio_sentence(results)
    if results.sample_ratio is None or results.sample_ratio.sound:
        return section("Sample ratio", tag("p", sentence), name="sample-ratio")
    return section("Sample ratio", notice("bad", "Sample ratio mismatch", sentence), name="sample-ratio")


def _decisions(detail: Detail) -> Markup:
    rows = [
        [
            str(row.position),
            moment(row.at),
            ACTIONS.get(row.action, row.action),
            "; ".join(row.reasons),
            traffic(row.weights),
            _hash(row.hash),
            _hash(row.previous_hash),
        ]
        for row in detail.decisions
    ]
    if not rows:
        return section("Decisions", tag("p", "None yet.", class_="empty"), name="decisions")
    columns = ("No.", "When", "Decision", "Why", "Weights", "Hash", "Hash before")
    path = experiment_path(detail.results.name)
    older = f"{path}?before={detail.decisions[-1].position}#decisions"
    return section(
        "Decisions",
        tag(
            "p",
            "Every decision is kept with all its inputs and chained by hashes. ",
            tag("code", f"mlp experiment replay {detail.results.name}"),
            " derives each of them again.",
            class_="hint",
        ),
        table("Decision log, newest first", columns, rows, prose=(3,)),
        tag(
            "nav",
            tag("a", "Newest decisions", href=f"{path}#decisions") if detail.before is not None else None,
            tag("a", "Older decisions", href=older, rel="next") if len(rows) == LOG_LENGTH else None,
            aria_label="Decision log",
            class_="pager",
        ),
        name="decisions",
    )


def _hash(value: str) -> Markup:
    return tag("code", value[:_SHORT_HASH], title=value, class_="hash")


def _commands(commands: Sequence[CommandRow]) -> Markup:
    answers = {True: "accepted", False: "refused", None: "not answered yet"}
    rows: list[list[Child]] = [
        [
            moment(row.at),
            row.action + (f" ({row.arm})" if row.arm else ""),
            row.by,
            row.why,
            row.source,
            answers[row.accepted] + (f": {row.message}" if row.message else ""),
        ]
        for row in commands
    ]
    if not rows:
        return section("Commands", tag("p", "Nobody has intervened.", class_="empty"), name="commands")
    columns = ("When", "Command", "Who", "Why", "By way of", "Answer")
    return section("Commands", table("Commands, newest first", columns, rows, prose=(3, 5)), name="commands")
