"""Names that an experiment may have: of the Kubernetes object, and in the addresses of the API."""

from __future__ import annotations

import re
from typing import Final

from ml.contracts.problems import Problem

NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
LONGEST_NAME: Final = 63
RESERVED_NAMES: Final = frozenset({"assignments", "outcomes", "ui", "openapi.json"})
"""They mean something else in the API's paths."""


def name_problem(name: str) -> Problem | None:
    """Return what is wrong with a name; None if nothing is."""
    if name in RESERVED_NAMES:
        return Problem(("name",), name, f"a name other than {', '.join(sorted(RESERVED_NAMES))}")
    if len(name) > LONGEST_NAME or not re.fullmatch(NAME_PATTERN, name):
        return Problem(("name",), name, f"1 to {LONGEST_NAME} of a-z, 0-9 and -, with a letter or digit at both ends")
    return None
