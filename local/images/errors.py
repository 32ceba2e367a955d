"""What can go wrong with images, as one type that callers show to a person."""

from __future__ import annotations


class ImageError(Exception):
    """An image could not be made or loaded; the message says which one, why, and what the tool said."""
