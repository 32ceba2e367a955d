"""Property paths in the engine's spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.provider.paths import Path, covers, format_path, parse_path

_KEYS = st.text(st.characters(blacklist_characters="\\", blacklist_categories=("Cs",)), min_size=1)


@given(st.lists(_KEYS, min_size=1).flatmap(lambda keys: st.permutations([*keys, 0, 7]).map(tuple)))
def test_paths_survive_when_formatted_and_parsed(path: Path) -> None:
    if isinstance(path[0], int):
        path = ("root", *path)
    assert parse_path(format_path(path)) == tuple("*" if segment == "*" else segment for segment in path)


def test_keys_are_quoted_when_they_hold_dots() -> None:
    path = ("metadata", "annotations", "pulumi.com/skipAwait")

    assert format_path(path) == 'metadata.annotations["pulumi.com/skipAwait"]'
    assert parse_path('metadata.annotations["pulumi.com/skipAwait"]') == path


def test_indices_are_numbers_when_parsed() -> None:
    assert parse_path("spec.ports[0].port") == ("spec", "ports", 0, "port")
    assert parse_path("spec.ports[*].port") == ("spec", "ports", "*", "port")


def test_the_rest_is_named_when_a_path_cannot_be_read() -> None:
    with pytest.raises(ValueError, match=r"cannot be read from '\[x'"):
        parse_path("spec[x")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("spec", "spec.replicas", True),
        ("spec.replicas", "spec", False),
        ("spec.ports[*].port", "spec.ports[3].port", True),
        ("spec.ports[0]", "spec.ports[1]", False),
    ],
)
def test_patterns_cover_what_lies_below_when_compared(pattern: str, path: str, expected: bool) -> None:
    assert covers(parse_path(pattern), parse_path(path)) is expected
