"""The reader of closed schemas, apart from what this project configures with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from components._rules import flag, integer, listing, table, text
from components._schema import Problems, Sensitive, camel_case, decode, read_section, schema, section, setting


@schema
class Inner:
    """A nested table."""

    size_gib: int = setting(integer(1, 9, "GiB"))
    names: tuple[str, ...] = setting(listing(text("[a-z]+", "letters")), default=())


@schema
class Outer:
    """A table."""

    title: str = setting(text(".+", "a text"))
    is_on: bool = setting(flag(), default=False)
    inner: Inner = setting(section(Inner, Inner(size_gib=5)), default=Inner(size_gib=5))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def read(raw: dict[str, object]) -> tuple[Outer | None, list[str]]:
    problems = Problems()
    return read_section(Outer, raw, problems), [str(problem) for problem in problems.found]


def test_missing_nested_keys_come_from_the_base_when_a_table_is_partial() -> None:
    result, problems = read({"title": "t", "inner": {"names": ["a"]}})
    assert problems == []
    assert result == Outer(title="t", inner=Inner(size_gib=5, names=("a",)))


def test_required_nested_key_is_missing_when_there_is_no_base() -> None:
    problems = Problems()
    section(Inner).read({}, "inner", problems)
    assert [str(problem) for problem in problems.found] == [
        "inner.sizeGib is missing: allowed is a whole number from 1 to 9 (GiB)"
    ]


@given(st.dictionaries(st.sampled_from(["title", "isOn", "inner", "other"]), json_values))
def test_reader_returns_a_value_or_problems_and_never_raises_when_given_anything(raw: dict[str, object]) -> None:
    result, problems = read(raw)
    assert (result is None) == bool(problems)
    if "other" in raw:
        assert any(problem.startswith("other is an unknown key") for problem in problems)


@given(json_values)
def test_shown_value_is_short_when_it_is_long(raw: object) -> None:
    problems = Problems()
    problems.add("key", raw, "nothing")
    assert len(problems.found[0].value) <= 82


def test_long_items_are_told_apart_when_only_their_ends_differ() -> None:
    problems = Problems()
    rule = listing(text("x+[ab]", "a text", max_length=200))
    assert rule.read(["x" * 120 + "a", "x" * 120 + "b"], "key", problems) == ("x" * 120 + "a", "x" * 120 + "b")
    assert problems.found == []


def test_table_refuses_a_key_when_it_breaks_the_rule_of_keys() -> None:
    problems = Problems()
    rule = table(text(".*", "a text"), key_rule=text("[a-z]+", "letters"))
    assert rule.read({"ok": "1", "NO": "2"}, "key", problems) == {"ok": "1"}
    assert [str(problem) for problem in problems.found] == ['key.NO = "NO": allowed is letters']


def test_texts_become_values_when_the_rule_wants_no_text() -> None:
    decoded = decode(Outer, {"title": "12", "isOn": "true", "inner": '{"sizeGib": 3}', "other": "1"}, set())
    assert decoded == {"title": "12", "isOn": True, "inner": {"sizeGib": 3}, "other": "1"}


def test_encrypted_text_never_shows_when_decoded() -> None:
    decoded = decode(Outer, {"title": "hidden"}, {"title"})
    assert isinstance(decoded["title"], Sensitive)
    assert "hidden" not in repr(decoded)


def test_key_is_the_field_in_camel_case_when_it_has_several_words() -> None:
    assert camel_case("memory_limit_mib") == "memoryLimitMib"
    assert camel_case("namespace") == "namespace"
