"""The frame of every page: head, landmarks, navigation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ml.api.page.assets import asset_path
from ml.api.page.security import BASE_PATH, form_token
from ml.api.page.source import Visitor
from ml.reporting.experiment.markup import Child, Markup, document, tag, together

_REFRESH_SECONDS: Final = 30
"""Without script; slow enough to read a table."""


def page(
    title: str,
    *content: Child,
    visitor: Visitor | None,
    session: str = "",
    live: bool = False,
) -> str:
    """Return a whole page.

    Args:
        title: of the page.
        content: of its main part.
        visitor: who is signed in.
        session: the session's token, for the form that ends it.
        live: whether it is renewed while one looks at it.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} \N{MIDDLE DOT} ML platform"),
        tag("link", rel="icon", href=asset_path("icon.svg"), type_="image/svg+xml"),
        tag("link", rel="stylesheet", href=asset_path("page.css")),
        tag("script", src=asset_path("live.js"), defer=True) if live else None,
        tag("noscript", tag("meta", http_equiv="refresh", content=_REFRESH_SECONDS)) if live else None,
    )
    body = tag(
        "body",
        tag("a", "Skip to content", href="#content", class_="skip"),
        _header(visitor, session),
        tag("main", *content, id="content", tabindex=-1),
        tag("footer", tag("p", "ML platform. Times are UTC; weights are shares of all requests of a model.")),
    )
    return document(tag("html", head, body, lang="en"))


def _header(visitor: Visitor | None, session: str) -> Markup:
    brand = tag("a", tag("span", aria_hidden="true", class_="mark"), "ML platform", href=BASE_PATH, class_="brand")
    if visitor is None:
        return tag("header", tag("div", brand, class_="bar"))
    who = tag(
        "form",
        tag("span", "Signed in as ", tag("b", visitor.subject), class_="who"),
        tag("input", type_="hidden", name="form", value=form_token(session)),
        tag("button", "Sign out", type_="submit", class_="plain"),
        method="post",
        action=f"{BASE_PATH}/sign-out",
    )
    links = tag("nav", tag("a", "Experiments", href=BASE_PATH), aria_label="Main")
    return tag("header", tag("div", brand, links, who, class_="bar"))


def section(heading: str, *content: Child, name: str) -> Markup:
    """Return a part of a page with its heading; screen readers list it as a region."""
    title = tag("h2", heading, id=f"{name}-heading")
    return tag("section", title, *content, aria_labelledby=f"{name}-heading", class_="card", id=name)


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    numeric: Sequence[int] = (),
    prose: Sequence[int] = (),
) -> Markup:
    """Return a table that can be scrolled sideways, also with the keyboard; the first cell of a row names it.

    Args:
        caption: what it shows.
        columns: their headings.
        rows: texts or markup.
        numeric: columns that are aligned to the right.
        prose: columns of sentences, the only ones whose lines are broken.
    """
    kinds = {**dict.fromkeys(numeric, "number"), **dict.fromkeys(prose, "prose")}
    head = tag("tr", *(tag("th", name, scope="col", class_=kinds.get(k)) for k, name in enumerate(columns)))
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if k == 0 else tag("td", cell, class_=kinds.get(k))
                for k, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def notice(kind: str, title: str, *text: Child) -> Markup:
    """Return a message that stands out: `good`, `bad` or `plain`."""
    role = "alert" if kind == "bad" else "status"
    return tag("div", tag("p", tag("b", title)), tag("p", *text) if text else None, class_=f"notice {kind}", role=role)


def facts(*items: tuple[str, Child]) -> Markup:
    """Return names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in items), class_="facts")


def message_page(status_title: str, *text: Child, visitor: Visitor | None, session: str = "") -> str:
    """Return a page that only says something, with the way back."""
    back = tag("p", tag("a", "Back to the experiments", href=BASE_PATH))
    return page(
        status_title, tag("h1", status_title), together(tag("p", *text), back), visitor=visitor, session=session
    )
