"""Which texts the event store can hold: PostgreSQL knows no U+0000, and UTF-8 no half of a surrogate pair."""

from __future__ import annotations


def why_not_storable(text: str) -> str | None:
    """Return what a text holds that cannot be stored; None if there is no such thing."""
    if "\x00" in text:
        return "the character U+0000"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None
