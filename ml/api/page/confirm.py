"""The page on which a command is confirmed: what will happen, why, and one button."""

from __future__ import annotations

import secrets
from typing import Final

from ml.api.page.layout import facts, notice, page
from ml.api.page.listing import experiment_path
from ml.api.page.security import form_token
from ml.api.page.source import Visitor
from ml.events.types import CommandAction
from ml.reporting.experiment.commands import COMMANDS
from ml.reporting.experiment.markup import Markup, tag
from ml.reporting.experiment.results import ExperimentResults
from ml.reporting.experiment.words import state_sentence

LONGEST_WHY: Final = 500


def confirm_page(
    results: ExperimentResults,
    action: CommandAction,
    *,
    visitor: Visitor,
    session: str,
    now: float,
    problem: str = "",
    why: str = "",
) -> str:
    """Return the form that issues one command."""
    command = COMMANDS[action]
    path = experiment_path(results.name)
    form = tag(
        "form",
        _arms(results, action),
        tag("label", "Why (kept in the record)", for_="why"),
        tag(
            "textarea",
            why,
            id="why",
            name="why",
            required=True,
            rows=3,
            maxlength=LONGEST_WHY,
            autofocus=True,
            aria_describedby="why-help",
        ),
        tag("p", f"Recorded with your name, {visitor.subject}.", id="why-help", class_="hint"),
        tag("input", type_="hidden", name="form", value=form_token(session)),
        tag("input", type_="hidden", name="once", value=secrets.token_hex(16)),  # pressed twice is asked once
        tag(
            "div",
            tag("button", command.label, type_="submit", class_="danger" if command.is_final else None),
            tag("a", "Cancel", href=path, class_="button plain"),
            class_="buttons",
        ),
        method="post",
        action=f"{path}/{action}",
        class_="stack",
    )
    title = f"{command.label}: {results.name}"
    return page(
        title,
        tag(
            "div",
            tag("h1", title),
            notice("bad", "Not done", problem) if problem else None,
            tag("p", command.effect, class_="sentence"),
            facts(("State now", state_sentence(results, now))),
            form,
            class_="card narrow",
        ),
        visitor=visitor,
        session=session,
    )


def _arms(results: ExperimentResults, action: CommandAction) -> Markup | None:
    """Ask which treatment is to be promoted, where there is a choice."""
    if action not in ("promote", "approve") or len(results.treatments) < 2:
        return None
    choices = [tag("option", arm, value=arm) for arm in results.treatments]
    return tag("div", tag("label", "Arm", for_="arm"), tag("select", *choices, id="arm", name="arm"))
