"""What becomes of characters that PostgreSQL cannot store."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.events.storable import storable

_TEXTS = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ud800\udfff\\u0d\U0001f600"), max_size=12)
_DOCUMENTS = st.recursive(_TEXTS, lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner), max_leaves=8)


def _cleaned(value: Any) -> Any:
    match value:
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [_cleaned(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return re.sub("[\0\ud800-\udfff]", "\ufffd", value)


@given(_DOCUMENTS)
def test_only_what_cannot_be_stored_is_replaced_when_a_document_is_made_storable(document: Any) -> None:
    # A pair of halves is one character in JSON, whoever wrote it.
    document = json.loads(json.dumps(document))
    assert json.loads(storable(json.dumps(document))) == _cleaned(document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"x\u0000y"', r'"x\ufffdy"'),
        (r'"\\u0000 \\\u0000"', r'"\\u0000 \\\ufffd"'),
        (r'"\uD83D\uDE00 \ud83d\ud83d\ude00 \ude00"', r'"\uD83D\uDE00 \ufffd\ud83d\ude00 \ufffd"'),
        ('"plain \u00e9"', '"plain \u00e9"'),
    ],
)
def test_escapes_are_told_apart_when_they_resemble_each_other(text: str, expected: str) -> None:
    assert storable(text) == expected
