"""The proof that tests see a weakened rule is itself seen to work, and holds."""

from __future__ import annotations

import pytest

from policies.registry import BY_ID
from tests.policies.mutation import attempt, files
from tests.policies.mutation.__main__ import main
from tests.policies.mutation.mutants import mutants

_RULE = """
RULE = ObjectRule(
    id="x",
    kinds=("core/Pod", "apps/Deployment"),
    demand=~Is("a", 1) & Matches("b", "^(x|y)$"),
    why="a text for people",
    example=Example(of="Pod", fails={"a": 1}),
)
"""


def test_every_kind_of_change_is_made_when_a_rule_is_read() -> None:
    changes = {mutant.change for mutant in mutants(_RULE, "x.py")}
    assert {
        "('core/Pod', 'apps/Deployment') -> ('apps/Deployment',)",
        "~Is('a', 1) & Matches('b', '^(x|y)$') -> ~Is('a', 1) | Matches('b', '^(x|y)$')",
        "~Is('a', 1) & Matches('b', '^(x|y)$') -> ~Is('a', 1)",
        "~Is('a', 1) -> Is('a', 1)",
        "Is('a', 1) -> Present('a')",
        "1 -> 2",
        "'^(x|y)$' -> '(x|y)$'",
        "'^(x|y)$' -> '^(x)$'",
    } <= changes
    assert not any("people" in change or "fails" in change for change in changes)


def test_changes_of_conditions_are_made_when_a_rule_is_a_function() -> None:
    source = (
        "def check(stack):\n    for item in stack:\n        if item > 1 and item is not None:\n            yield item\n"
    )
    changes = {mutant.change for mutant in mutants(source, "x.py")}
    assert {"item > 1 -> item >= 1", "item is not None -> item is None", "yield item -> pass"} <= changes


def test_all_changes_are_noticed_when_a_rule_is_asked_everything() -> None:
    tried = attempt("pod_host_path")
    assert tried.survived == ()
    assert tried.killed > 10


@pytest.mark.slow
def test_only_listed_changes_survive_when_all_rules_are_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out
    assert len(files()) == len(BY_ID)
