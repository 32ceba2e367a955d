"""The list of experiments, and the page to sign in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args
from urllib.parse import quote, urlencode

from ml.api.page.layout import notice, page, table
from ml.api.page.security import BASE_PATH
from ml.api.page.source import ExperimentRow, ExperimentRows, Filters, Visitor
from ml.events.types import FINAL_PHASES, Phase
from ml.reporting.experiment.markup import Child, Markup, tag
from ml.reporting.experiment.words import PHASES, moment, traffic


def sign_in_page(*, problem: str = "", next_path: str = "") -> str:
    """Return the form that asks for an access token."""
    form = tag(
        "form",
        tag("label", "Access token", for_="token"),
        tag(
            "input",
            id="token",
            name="token",
            type_="password",
            required=True,
            autofocus=True,
            autocomplete="current-password",
            spellcheck="false",
            aria_describedby="token-help",
        ),
        tag(
            "p",
            "A read token shows everything; a decide token also offers commands. ",
            tag("code", "mlp open --show-secrets"),
            " prints them.",
            id="token-help",
            class_="hint",
        ),
        tag("input", type_="hidden", name="next", value=next_path),
        tag("button", "Sign in", type_="submit"),
        method="post",
        action=f"{BASE_PATH}/sign-in",
        class_="stack",
    )
    return page(
        "Sign in",
        tag(
            "div",
            tag("h1", "Experiments"),
            notice("bad", "Not signed in", problem) if problem else None,
            form,
            class_="card narrow",
        ),
        visitor=None,
    )


def list_page(
    found: ExperimentRows, models: Sequence[str], filters: Filters, *, visitor: Visitor, session: str, first: bool
) -> str:
    """Return one page of the list."""
    if found.rows:
        running = sum(row.phase not in FINAL_PHASES for row in found.rows)
        columns = ("Experiment", "State", "Model", "Traffic", "Created", "By")
        content = table(f"{_count(len(found.rows))}, {running} not ended", columns, [_row(row) for row in found.rows])
    else:
        content = tag(
            "p", "No experiment matches. ", tag("code", "mlp experiment create"), " starts one.", class_="empty"
        )
    return page(
        "Experiments",
        tag("h1", "Experiments"),
        _filter_form(models, filters),
        tag("div", content, class_="card"),
        _pager(found.next_cursor, filters, first=first),
        visitor=visitor,
        session=session,
    )


def phase_badge(phase: Phase) -> Markup:
    """Return the phase as a small label; its color repeats what the word says."""
    kind = {"Promoted": "good", "RolledBack": "bad", "Invalid": "bad", "HoldNoData": "warn", "AwaitingApproval": "warn"}
    running = "" if phase in FINAL_PHASES else "running"
    return tag("span", PHASES[phase].split(":")[0], class_=f"badge {kind.get(phase, running)}".strip())


def experiment_path(name: str) -> str:
    """Return the address of an experiment's page."""
    return f"{BASE_PATH}/experiments/{quote(name, safe='')}"


def _row(row: ExperimentRow) -> list[Child]:
    return [
        tag("a", row.name, href=experiment_path(row.name), class_="name"),
        phase_badge(row.phase),
        tag("code", row.model),
        traffic(row.weights),
        moment(row.created_at),
        row.by or "\N{EN DASH}",
    ]


def _count(rows: int) -> str:
    return f"{rows} experiment{'' if rows == 1 else 's'}"


def _filter_form(models: Sequence[str], filters: Filters) -> Markup:
    return tag(
        "form",
        _choice("Model", "model", [("", "all"), *((name, name) for name in models)], filters.model),
        _choice(
            "State",
            "phase",
            [("", "all"), *((name, PHASES[name].split(":")[0]) for name in get_args(Phase))],
            filters.phase,
        ),
        tag(
            "div",
            tag("label", "Name begins with", for_="name"),
            tag("input", id="name", name="name", value=filters.name, type_="search", maxlength=63),
        ),
        tag("button", "Filter", type_="submit"),
        method="get",
        action=BASE_PATH,
        class_="filters",
        role="search",
        aria_label="Filter experiments",
    )


def _choice(label: str, name: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    shown = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    return tag("div", tag("label", label, for_=name), tag("select", *shown, id=name, name=name))


def _pager(cursor: str | None, filters: Filters, *, first: bool) -> Markup | None:
    if cursor is None and first:
        return None
    asked = {key: value for key, value in vars(filters).items() if value}
    older = urlencode({**asked, "cursor": cursor or ""})
    return tag(
        "nav",
        None if first else tag("a", "Newest", href=f"{BASE_PATH}?{urlencode(asked)}"),
        tag("a", "Older", href=f"{BASE_PATH}?{older}", rel="next") if cursor else None,
        aria_label="Pages",
        class_="pager",
    )
