"""Style, script and icon of the page, kept by browsers until their content changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from ml.api.page.security import BASE_PATH

_TYPES: Final = {"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file that pages refer to."""

    content: bytes
    media_type: str
    version: str


@lru_cache(maxsize=len(_TYPES))
def asset(name: str) -> Asset | None:
    """Return a file by its name; None if there is no such file."""
    if name not in _TYPES:
        return None
    content = files("ml.api.page").joinpath("static", name).read_bytes()
    return Asset(content, f"{_TYPES[name]}; charset=utf-8", hashlib.sha256(content).hexdigest()[:16])


def asset_path(name: str) -> str:
    """Return the address of a file; it changes with the content."""
    found = asset(name)
    if found is None:
        raise ValueError(f"name={name!r}: allowed are {sorted(_TYPES)}")
    return f"{BASE_PATH}/static/{name}?v={found.version}"
