"""JSON texts that PostgreSQL can take apart.

A text of JSON may say `\\u0000` or half of a surrogate pair. The log keeps such a text as it was written, for its hash;
but no column of type text can hold what it stands for, and no JSON function of PostgreSQL gets past it.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character, to be left alone
    r"|(?P<unstorable>\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2}))"
    r"|\\."
)
_REPLACEMENT: Final = "\\ufffd"


def storable(text: str) -> str:
    """Return a JSON text with U+FFFD in place of each character that cannot be stored."""
    if "\\u" not in text:
        return text
    return _ESCAPES.sub(lambda found: _REPLACEMENT if found["unstorable"] else found[0], text)
