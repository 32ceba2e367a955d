"""A configuration with any mistake in it is refused before a resource is looked at."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies._model import Level, Verdict
from policies.configuration import ConfigurationError, load, parse
from policies.engine import evaluate
from policies.registry import BY_ID
from tests.policies.samples import resource_of

_TODAY = date(2026, 12, 1)
_GOOD: dict[str, Any] = {
    "rule": "gateway-tls",
    "stacks": ["dev"],
    "kind": "networking.istio.io/Gateway",
    "name": "platform-*",
    "owner": "platform",
    "reason": "a test",
    "expires": date(2027, 1, 31),
}


def problems(content: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(content, _TODAY)
    return "\n".join(caught.value.problems)


def test_exemption_is_read_when_all_of_it_is_there() -> None:
    configuration = parse({"stacks": {"dev": {}}, "exemptions": [_GOOD]}, _TODAY)
    assert configuration.exemption("dev", "gateway-tls")[0].names("platform-gateway")
    assert not configuration.exemption("dev", "gateway-tls")[0].names("other")
    assert configuration.exemption("prod", "gateway-tls") == ()


@pytest.mark.parametrize("key", ["rule", "stacks", "kind", "name", "owner", "reason", "expires"])
def test_exemption_is_refused_when_a_part_is_missing(key: str) -> None:
    content = {name: value for name, value in _GOOD.items() if name != key}
    assert f"exemptions[0]: {key}: None" in problems({"stacks": {"dev": {}}, "exemptions": [content]})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expires": date(2026, 11, 30)}, "expires: 2026-11-30; it has expired"),
        ({"expires": date(2028, 1, 1)}, "at most a year ahead"),
        ({"expires": "2027-01-31"}, "needs a date"),
        ({"owner": "  "}, "owner: '  '"),
        ({"rule": "no-such"}, "rule: 'no-such'; there is no such rule"),
        ({"stacks": ["prod"]}, "stacks: ['prod']; allowed is a list of dev"),
        ({"stacks": "dev"}, "stacks: 'dev'"),
        ({"name": "*"}, "set the rule's level"),
        ({"until": 1}, "until: allowed are rule, stacks"),
    ],
    ids=str,
)
def test_exemption_is_refused_when_a_part_is_wrong(change: dict[str, Any], expected: str) -> None:
    assert expected in problems({"stacks": {"dev": {}}, "exemptions": [{**_GOOD, **change}]})


def test_exemption_still_holds_when_it_is_its_last_day() -> None:
    exemption = {**_GOOD, "expires": _TODAY}
    assert parse({"stacks": {"dev": {}}, "exemptions": [exemption]}, _TODAY).exemptions


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"level": {}}, "level: allowed are levels, stacks"),
        ({"levels": {"default": "strict"}}, "levels.default: 'strict'; allowed are mandatory, advisory, disabled"),
        ({"levels": {"gateway-tls": "advisory"}}, "levels.gateway-tls"),
        ({"stacks": {"dev": {"no-such": "advisory"}}}, "stacks.dev.no-such: there is no such rule"),
        ({"stacks": {"dev": {"gateway-tls": "off"}}}, "stacks.dev.gateway-tls: 'off'"),
        ({"stacks": []}, "stacks: []; allowed is a table"),
        ({"settings": {"no-such": {}}}, "settings.no-such: there is no such rule"),
        ({"settings": {"gateway-tls": {"a": 1}}}, "settings.gateway-tls.a: allowed is nothing"),
        ({"settings": {"replicas-limit": {"most": "many"}}}, "settings.replicas-limit.most: 'many'"),
        ({"settings": {"replicas-limit": {"most": True}}}, "settings.replicas-limit.most: True"),
        ({"settings": {"memory-budget": {"most": "64 GB"}}}, "an amount such as"),
        ({"settings": {"image-registry": {"registries": []}}}, "a list of texts"),
        ({"settings": {"image-registry": {"registries": [""]}}}, "a list of texts"),
        ({"exemptions": {}}, "exemptions: {}; allowed is a list"),
        ({"exemptions": ["all"]}, "exemptions[0]: rule: None"),
    ],
    ids=str,
)
def test_configuration_is_refused_when_it_is_malformed(content: dict[str, Any], expected: str) -> None:
    assert expected in problems(content)


def test_all_problems_are_named_when_there_are_several() -> None:
    found = problems({"levels": {"default": "x"}, "stacks": {"dev": {"no-such": "advisory"}}, "exemptions": [{}]})
    assert all(word in found for word in ("levels.default", "no-such", "owner", "expires"))


@pytest.mark.parametrize("text", ["not toml", "\x00"])
def test_file_is_refused_when_it_is_no_toml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policies.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"policies\.toml"):
        load(_TODAY, file)


def test_file_is_refused_when_it_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing was judged"):
        load(_TODAY, tmp_path / "none.toml")


def test_every_setting_fits_its_own_description_when_left_as_it_is() -> None:
    settings = {
        rule.id: {
            name: list(its.default) if its.kind == "texts" else its.default for name, its in rule.settings.items()
        }
        for rule in BY_ID.values()
        if rule.settings
    }
    assert parse({"settings": settings}, _TODAY).settings == settings


def test_level_decides_what_a_violation_does_when_it_is_set() -> None:
    broken = [resource_of("Ingress", {"spec.tls": []})]
    for level, refuses, found in (("mandatory", True, 1), ("advisory", False, 1), ("disabled", False, 0)):
        configuration = parse({"stacks": {"dev": {"ingress-tls": level}}}, _TODAY)
        report = evaluate(broken, configuration, "dev")
        assert (report.refuses, len(report.of(Verdict.VIOLATION))) == (refuses, found)
    assert parse({}, _TODAY).level("any", "ingress-tls") is Level.MANDATORY


def test_setting_moves_the_limit_when_it_is_configured() -> None:
    resource = resource_of("Deployment", {"spec.replicas": 60})
    report = evaluate([resource], parse({}, _TODAY), "dev")
    assert [item.rule.id for item in report.judged if item.rule.id == "replicas-limit"] == ["replicas-limit"]
    loosened = parse({"settings": {"replicas-limit": {"most": 60}}}, _TODAY)
    assert "replicas-limit" not in {item.rule.id for item in evaluate([resource], loosened, "dev").judged}
