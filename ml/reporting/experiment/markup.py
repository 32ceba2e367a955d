"""HTML and SVG as values: every text is escaped because nothing else can be put in."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final

_VOID: Final = frozenset({"meta", "link", "input", "br", "hr"})


@dataclass(frozen=True)
class Markup:
    """Markup that is safe to send; only this module makes it."""

    text: str

    def __str__(self) -> str:
        return self.text


Child = Markup | str | int | None
Attribute = str | int | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: texts are escaped; None is nothing.
        attributes: underscores become hyphens (one at the end is dropped); True is an attribute without value,
            False and None leave it out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{together(*children)}</{name}>")


def together(*children: Child) -> Markup:
    """Return children one after the other, without an element around them."""
    return Markup("".join(_child(child) for child in children))


def document(page: Markup) -> str:
    """Return a whole HTML document."""
    return f"<!doctype html>\n{page}\n"


def _child(child: Child) -> str:
    if child is None:
        return ""
    return child.text if isinstance(child, Markup) else escape(str(child), quote=False)


def _attribute(key: str, value: Attribute) -> str:
    name = key.removesuffix("_").replace("_", "-")
    if name == "viewbox":
        name = "viewBox"  # SVG in HTML is forgiving, SVG in a file is not
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
