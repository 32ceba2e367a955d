"""Property paths: the places of values inside an object, as the engine writes them (`spec.ports[0].port`)."""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_SEGMENT: Final = re.compile(r'\.?([^.\[\]"]+)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]')
_QUOTED: Final = re.compile(r'[.\[\]"]')


def format_path(path: Path) -> str:
    """Return the engine's spelling of a path; keys with special characters are quoted."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif _QUOTED.search(segment):
            escaped = segment.replace('"', r"\"")
            text += f'["{escaped}"]'
        else:
            text += f".{segment}" if text else segment
    return text


def parse_path(text: str) -> Path:
    """Return the path that a text spells; `*` stays as it is.

    Raises:
        ValueError: the text is not a property path.
    """
    segments: list[str | int] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None:
            raise ValueError(f"property path {text!r}: cannot be read from {text[position:]!r} on")
        key, index, quoted = match.groups()
        if key is not None:
            segments.append(key)
        elif quoted is not None:
            segments.append(quoted.replace(r"\"", '"'))
        else:
            segments.append(index if index == "*" else int(index))
        position = match.end()
    return tuple(segments)


def covers(pattern: Path, path: Path) -> bool:
    """Tell whether `path` lies at or below `pattern`, in which `*` stands for any one segment."""
    return len(pattern) <= len(path) and all(
        wanted in ("*", segment) for wanted, segment in zip(pattern, path, strict=False)
    )
