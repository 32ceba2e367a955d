"""Generated names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from local.provider.naming import generate_name


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,80}[a-z0-9])?", fullmatch=True), st.binary(max_size=32))
def test_names_fit_every_kind_when_generated(base: str, seed: bytes) -> None:
    name = generate_name(base, seed)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?-[a-z0-9]{8}", name)
    assert len(name) <= 63


def test_names_repeat_when_the_seed_does() -> None:
    assert generate_name("web", b"1") == generate_name("web", b"1")
    assert generate_name("web", b"1") != generate_name("web", b"2")


def test_names_differ_when_there_is_no_seed() -> None:
    assert generate_name("web", b"") != generate_name("web", b"")
