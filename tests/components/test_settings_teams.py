"""Every kind of bad team is refused before anything is declared, all problems at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components._quota import Quota
from components.settings import Settings, SettingsError, parse
from tests.components.test_settings_aws import AWS

SECRET = "s" * 32
VISION: dict[str, Any] = {"name": "vision", "groups": ["ml-vision"], "costCenter": "17"}
TEXT: dict[str, Any] = {"name": "text", "groups": ["ml-text"], "costCenter": "18"}


def parse_with(teams: object, **others: Any) -> Settings:
    values: dict[str, Any] = {"masterSecret": SECRET, "imageRegistry": "registry.test", "teams": teams, **others}
    if "aws" not in others:
        values["context"] = "test"
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return parse(texts, {"masterSecret"})


def problems_of(teams: object, **others: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_with(teams, **others)
    return [str(problem) for problem in caught.value.problems]


def test_team_gets_a_namespace_and_a_small_share_when_it_says_no_more() -> None:
    (team,) = parse_with([VISION]).teams
    assert team.namespace == "team-vision"
    assert team.consumer == "team-vision"
    assert team.quota == Quota(cpus=8, memory_gib=32, gpus=0, storage_gib=100)


def test_team_gets_what_it_names_when_that_is_allowed() -> None:
    quota = {"cpus": 2, "gpus": 3}
    (team,) = parse_with([{**VISION, "ownNamespace": "eyes", "groups": ["a b", "oidc:c"], "quota": quota}]).teams
    assert team.namespace == "eyes"
    assert team.groups == ("a b", "oidc:c")
    assert team.quota == Quota(cpus=2, memory_gib=32, gpus=3, storage_gib=100)


def test_there_is_no_team_when_none_is_named() -> None:
    assert parse_with([]).teams == ()


BAD: list[tuple[str, object, str]] = [
    ("not a list", {"vision": {}}, "teams = "),
    ("no name", [{"groups": ["a"], "costCenter": "1"}], "teams[0].name is missing"),
    ("bad name", [{**VISION, "name": "Vision"}], 'teams[0].name = "Vision": allowed is a team name'),
    ("short name", [{**VISION, "name": "v"}], 'teams[0].name = "v": allowed is a team name'),
    ("long name", [{**VISION, "name": "v" * 21}], "allowed is a team name"),
    ("no group", [{**VISION, "groups": []}], "teams[0].groups = []: allowed is a list of 1 to 10"),
    ("group of Kubernetes", [{**VISION, "groups": ["system:masters"]}], 'teams[0].groups[0] = "system:masters"'),
    ("no cost centre", [{"name": "vision", "groups": ["a"]}], "teams[0].costCenter is missing"),
    (
        "cost centre no label",
        [{**VISION, "costCenter": "4 2"}],
        'teams[0].costCenter = "4 2": allowed is a label value',
    ),
    ("unknown key", [{**VISION, "budget": 1}], "teams[0].budget is an unknown key"),
    ("no cores", [{**VISION, "quota": {"cpus": 0}}], "teams[0].quota.cpus = 0: allowed is a whole number from 1"),
    ("unknown share", [{**VISION, "quota": {"disk": 1}}], "teams[0].quota.disk is an unknown key"),
    ("system namespace", [{**VISION, "ownNamespace": "kube-system"}], 'teams[0].ownNamespace = "kube-system"'),
    (
        "same name",
        [VISION, {**TEXT, "name": "vision", "ownNamespace": "x"}],
        "every name occurs once; vision does not",
    ),
    ("same group", [VISION, {**TEXT, "groups": ["ml-vision"]}], "every group belongs to one team; ml-vision does not"),
    (
        "same namespace",
        [VISION, {**TEXT, "ownNamespace": "team-vision"}],
        "has a namespace to itself; team-vision is shared",
    ),
    (
        "namespace of the platform",
        [{**VISION, "ownNamespace": "free-deep-research"}],
        "another namespace for vision than free-deep-research, which is that of `namespace`",
    ),
    (
        "namespace of the gateway",
        [{**VISION, "ownNamespace": "istio-system"}],
        "another namespace for vision than istio-system, which is that of `gateway.namespace`",
    ),
    (
        "namespace of what is installed",
        [{**VISION, "ownNamespace": "cert-manager"}],
        "another namespace for vision than cert-manager, which is that of `prerequisites.certManager`",
    ),
    ("everybody's namespace", [{**VISION, "ownNamespace": "default"}], "than default, which is that of the cluster"),
]


@pytest.mark.parametrize(("teams", "expected"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_problem_names_key_and_allowed_when_a_team_is_bad(teams: object, expected: str) -> None:
    (problem,) = problems_of(teams, prerequisites={"certManager": "install"})
    assert problem.startswith("teams")
    assert expected in problem


def test_gpus_are_refused_when_the_stack_has_no_pool_of_them() -> None:
    greedy = [{**VISION, "quota": {"gpus": 1}}]
    cloud = {**AWS, "highlyAvailable": False}
    (problem,) = problems_of(greedy, aws=cloud)
    assert "no GPUs for vision, unless `aws.gpuPools` has a pool" in problem
    pool = {"name": "l4", "families": ["g6"]}
    assert parse_with(greedy, aws={**cloud, "gpuPools": [pool]}).teams[0].quota.gpus == 1


def test_all_problems_are_in_one_error_when_there_are_several() -> None:
    teams = [VISION, {**VISION, "costCenter": "19"}]
    assert len(problems_of(teams)) == 3, "name, group and namespace"
    bad: dict[str, Any] = {**VISION, "groups": [], "quota": {"cpus": 0}, "costCenter": "-"}
    assert len(problems_of([bad], colour="red")) == 4
