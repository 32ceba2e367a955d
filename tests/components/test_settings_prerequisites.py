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
    given = {"prerequisites": prerequisites, **more}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    texts = {**_VALID, **texts}
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
        (
            {"keda": "install"},
            {"autoscaling": {"kedaNamespace": "scaling"}},
            "allowed is kedaNamespace keda where `prerequisites.keda` is install: its chart goes there",
        ),
        (
            {"gpuOperator": "install"},
            {"gpu": {"operatorNamespace": "nvidia"}},
            "allowed is operatorNamespace gpu-operator where `prerequisites.gpuOperator` is install",
        ),
        (
            {"istio": "install"},
            {"gateway": {"proxy": "envoy"}},
            "allowed is proxy istio where `prerequisites.istio` is install: its chart brings Istio's own",
        ),
    ],
)
def test_problem_is_named_with_what_is_allowed_when_it_is_alone(
    prerequisites: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    assert expected in problem(prerequisites, **more)


def test_parts_are_looked_for_where_somebody_has_put_them_when_the_stack_installs_nothing() -> None:
    elsewhere = {"autoscaling": {"kedaNamespace": "scaling"}, "gpu": {"operatorNamespace": "nvidia"}}
    settings = read({"keda": "present", "gpuOperator": "present"}, gateway={"proxy": "envoy"}, **elsewhere)
    assert settings.autoscaling.keda_namespace == "scaling"


@pytest.mark.parametrize(
    ("namespace", "prerequisites", "owner"),
    [
        ("monitoring", {"prometheusStack": "install"}, "prerequisites.prometheusStack"),
        ("cnpg-system", {"cloudNativePg": "install"}, "prerequisites.cloudNativePg"),
        ("istio-system", {}, "gateway.namespace"),
        ("kubeflow", {}, "pipelineService.namespace"),
        ("default", {}, "the cluster"),
    ],
)
def test_namespace_is_refused_when_others_fill_it(namespace: str, prerequisites: dict[str, str], owner: str) -> None:
    found = problem(prerequisites, namespace=namespace)
    assert found.startswith(f'namespace = "{namespace}": allowed is another one than that of ')
    assert owner in found


def test_namespace_of_a_mesh_is_refused_when_its_gateway_is_elsewhere() -> None:
    found = problem({"istio": "install"}, namespace="istio-system", gateway={"namespace": "gateways"})
    assert "another one than that of `prerequisites.istio`" in found


def test_namespace_of_pipelines_is_refused_when_others_fill_it() -> None:
    found = problem({"keda": "install"}, pipelineService={"enabled": True, "namespace": "keda"})
    assert found.startswith("pipelineService = ")
    assert "allowed is another namespace than keda, which is that of `prerequisites.keda`" in found


def test_namespace_of_what_is_not_installed_is_taken_when_asked_for() -> None:
    assert read({}, namespace="monitoring").namespace == "monitoring"


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
        "highlyAvailable": False,
    }
    texts = {key: value for key, value in _VALID.items() if key != "context"}
    wanted = {"externalDns": "install", "externalDnsProvider": "aws"}
    with pytest.raises(SettingsError) as caught:
        parse({**texts, "aws": json.dumps(aws), "prerequisites": json.dumps(wanted)}, {"masterSecret"})
    (found,) = caught.value.problems
    assert "externalDns absent or present, for `aws.access` keeps the names of the hosts itself" in str(found)
