"""What a stack installs, finds or does without."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from components._charts import CHARTS
from components._schema import camel_case
from components.settings import Settings, SettingsError, parse
from components.settings_prerequisites import PrerequisitesSettings
from ml.contracts.prerequisites import PREREQUISITES

_INSTALLABLE = tuple(name for name, known in PREREQUISITES.items() if known.installable)
_VALID = {"masterSecret": "s" * 32, "context": "test", "imageRegistry": "registry.test"}


def read(prerequisites: dict[str, Any], **more: Any) -> Settings:
    texts = {**_VALID, "prerequisites": json.dumps(prerequisites), **{key: json.dumps(more[key]) for key in more}}
    return parse(texts, {"masterSecret"})


def problem(prerequisites: dict[str, Any], **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        read(prerequisites, **more)
    (found,) = caught.value.problems
    return str(found)


def test_mesh_is_found_and_the_rest_is_left_out_when_nothing_is_set() -> None:
    settings = read({}).prerequisites
    assert settings.states == {**dict.fromkeys(PREREQUISITES, "absent"), "istio": "present"}
    assert settings.installed == ()


def test_settings_know_exactly_what_the_check_knows_when_compared() -> None:
    fields = {camel_case(field.name): field for field in dataclasses.fields(PrerequisitesSettings)}
    assert set(fields) - {"externalDnsProvider"} == set(PREREQUISITES)
    assert all(fields[name].default == known.default for name, known in PREREQUISITES.items())
    assert set(CHARTS) == set(_INSTALLABLE) - {"istio"}


def test_values_are_taken_when_they_are_allowed() -> None:
    everything = read({**dict.fromkeys(_INSTALLABLE, "install"), "externalDnsProvider": "aws"})
    assert everything.prerequisites.installed == _INSTALLABLE


@pytest.mark.parametrize(
    ("prerequisites", "more", "expected"),
    [
        ({"istio": "absent"}, {}, 'prerequisites.istio = "absent": allowed is one of install, present'),
        ({"keda": "yes"}, {}, 'prerequisites.keda = "yes": allowed is one of install, present, absent'),
        ({"draDriver": "install"}, {}, 'prerequisites.draDriver = "install": allowed is one of present, absent'),
        ({"draDriver": "present"}, {}, "draDriver absent, unless `gpu.allocation` is claims"),
        ({}, {"gpu": {"allocation": "claims"}}, "draDriver present, for `gpu.allocation` is claims"),
        (
            {"draDriver": "present", "gpuOperator": "install"},
            {"gpu": {"allocation": "claims"}},
            "gpuOperator present or absent where `gpu.allocation` is claims: its chart brings the device plugin",
        ),
        ({"kedda": "install"}, {}, "prerequisites.kedda is an unknown key"),
        ({"externalDns": "install"}, {}, "prerequisites.externalDnsProvider = null: allowed is a provider's name"),
        ({"externalDnsProvider": "aws"}, {}, "allowed is absent, unless `externalDns` is install"),
        ({"barmanCloud": "install", "cloudNativePg": "present"}, {}, "prerequisites.certManager"),
        ({"barmanCloud": "install", "certManager": "install"}, {}, "prerequisites.cloudNativePg"),
        (
            {"certManager": "absent"},
            {"access": {"tls": "gateway", "certificateIssuer": {"name": "public"}}},
            "certManager install or present, for `access.tls` is gateway",
        ),
    ],
)
def test_problem_is_named_with_what_is_allowed_when_it_is_alone(
    prerequisites: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    assert expected in problem(prerequisites, **more)


def test_names_have_one_keeper_when_the_stack_makes_a_load_balancer() -> None:
    aws = {
        "name": "mlplatform",
        "accountId": "111122223333",
        "region": "eu-central-1",
        "replicaRegion": "eu-west-1",
        "owner": "ml",
        "costCenter": "research",
        "adminPrincipals": ["arn:aws:iam::111122223333:role/deployer"],
        "access": {"zoneId": "Z0123456789"},
    }
    texts = {key: value for key, value in _VALID.items() if key != "context"}
    wanted = {"externalDns": "install", "externalDnsProvider": "aws"}
    with pytest.raises(SettingsError) as caught:
        parse({**texts, "aws": json.dumps(aws), "prerequisites": json.dumps(wanted)}, {"masterSecret"})
    (found,) = caught.value.problems
    assert "externalDns absent or present, for `aws.access` keeps the names of the hosts itself" in str(found)
