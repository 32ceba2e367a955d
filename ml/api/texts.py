"""Which texts may become part of the record: the same rule wherever they come from."""

from __future__ import annotations

import json

from ml.api.strict_json import JsonError, parse_json


def text_problem(text: str) -> str:
    """Return why a text cannot be stored, empty if it can: PostgreSQL takes neither U+0000 nor half a surrogate pair.

    Bodies in JSON are held to this while they are read; forms, addresses and tokens are asked about here.
    """
    try:
        parse_json(json.dumps(text).encode("ascii"))
    except JsonError as error:
        return str(error)
    return ""
