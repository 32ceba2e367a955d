from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts.storable import why_not_storable


@given(text=st.text(st.characters(exclude_categories=[])))
def test_a_text_is_refused_exactly_when_the_database_could_not_hold_it(text: str) -> None:
    storable = True
    try:
        storable = b"\0" not in text.encode()
    except UnicodeEncodeError:
        storable = False
    assert (why_not_storable(text) is None) == storable


@pytest.mark.parametrize(
    ("text", "found"),
    [("a\x00b", "the character U+0000"), ("\ud83d", "half of a surrogate pair"), ('\U0001f600 [{"', None)],
)
def test_what_cannot_be_stored_is_named_when_a_text_holds_it(text: str, found: str | None) -> None:
    assert why_not_storable(text) == found
