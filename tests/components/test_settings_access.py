"""How people come in: every impossible combination is refused with its key, and all of them together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.settings import Settings, SettingsError, parse
from tests.support.catalogue_cloud import AUTHORITIES
from tests.support.stacks import STACKS

_VALID = {"masterSecret": "s" * 32, "context": "test", "imageRegistry": "registry.test"}
_LOGIN = {"issuer": "https://login.example.org", "clientId": "mlplatform"}
_AWS = {
    "name": "mlplatform",
    "accountId": "111122223333",
    "region": "eu-central-1",
    "replicaRegion": "eu-west-1",
    "owner": "ml",
    "costCenter": "research",
    "adminPrincipals": ["arn:aws:iam::111122223333:role/deployer"],
    "access": {"zoneId": "Z0123456789"},
}
_STORES_OF_THE_CLOUD = {"metadataDb": {"kind": "rds"}, "objectStore": {"kind": "s3"}}


def read(access: dict[str, Any] | None = None, **more: Any) -> Settings:
    values = {**_VALID, **more, **({} if access is None else {"access": access})}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items() if value}
    return parse(texts, {"masterSecret", "loginSecret"} & set(texts))


def problems(access: dict[str, Any] | None = None, **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(access, **more)
    return [str(problem) for problem in caught.value.problems]


def test_no_page_is_reached_and_nothing_is_encrypted_when_nothing_is_set() -> None:
    access = read().access
    assert not access.pages
    assert access.tls == "none"
    assert access.strict_seconds == 0


def test_values_are_taken_when_they_are_allowed() -> None:
    settings = read(
        {
            "tls": "gateway",
            "certificateIssuer": {"name": "public", "kind": "Issuer"},
            "strictTransportDays": 2,
            "login": {**_LOGIN, "groups": ["ml"], "sessionHours": 4, "replicas": 3},
        },
        prerequisites={"certManager": "present"},
        loginSecret="made by the issuer",
    )
    access = settings.access
    assert access.pages
    assert access.ends_tls
    assert access.strict_seconds == 172_800
    assert access.login is not None
    assert (access.login.groups, access.login.session_hours, access.login.replicas) == (("ml",), 4, 3)
    assert settings.login_secret is not None
    assert "made by the issuer" not in repr(settings)


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "127.8.8.8", "localhost:80"])
def test_pages_may_be_open_when_the_gateway_answers_on_this_machine_only(address: str) -> None:
    assert read({"openPages": True}, gatewayAddress=address).access.pages


@pytest.mark.parametrize("address", [None, "gateway.example.org", "10.0.0.1:80", "128.0.0.1", "localhost.example.org"])
def test_open_pages_are_refused_when_others_reach_the_gateway(address: str | None) -> None:
    (problem,) = problems({"openPages": True}, gatewayAddress=address)
    assert problem.startswith("access = ")
    assert "openPages false, unless `gatewayAddress` is the machine's own: no page has a login of its own" in problem


@pytest.mark.parametrize(
    ("access", "more", "expected"),
    [
        ({"tls": "on"}, {}, 'access.tls = "on": allowed is one of none, gateway, outside'),
        ({"tsl": "gateway"}, {}, "access.tsl is an unknown key"),
        ({"tls": "gateway"}, {}, "access.certificateIssuer = null: allowed is the name of an issuer"),
        (
            {"tls": "outside", "certificateIssuer": {"name": "public"}},
            {},
            "certificateIssuer = ",
        ),
        (
            {"tls": "gateway", "certificateIssuer": {"name": "public", "kind": "Signer"}},
            {},
            'access.certificateIssuer.kind = "Signer": allowed is one of ClusterIssuer, Issuer',
        ),
        ({"login": _LOGIN}, {}, 'access.tls = "none": allowed is gateway or outside where there is a login'),
        (
            {"tls": "outside", "login": {**_LOGIN, "issuer": "http://login.example.org"}},
            {},
            "access.login.issuer = ",
        ),
        ({"tls": "outside", "login": {"issuer": "https://x.example"}}, {}, "access.login.clientId is missing"),
        (
            {"tls": "outside", "login": _LOGIN, "openPages": True},
            {"gatewayAddress": "127.0.0.1:80"},
            "access.openPages = true: allowed is false where there is a login",
        ),
        ({}, {"loginSecret": "s"}, "loginSecret = [secret]: allowed is absent, unless `access.login` is set"),
        (
            {"tls": "gateway", "certificateIssuer": {"name": "public"}},
            {"aws": {**_AWS, "highlyAvailable": False}, "context": None, "prerequisites": {"certManager": "install"}},
            "tls outside, for `aws.access` makes a load balancer that ends it",
        ),
        (
            {"openPages": True},
            {"aws": {**_AWS, "highlyAvailable": False}, "context": None, "gatewayAddress": "127.0.0.1"},
            "openPages false, unless",
        ),
        (
            {"tls": "outside", "login": {**_LOGIN, "replicas": 1}},
            {"aws": {**_AWS, "database": {"authorities": AUTHORITIES}}, "context": None, **_STORES_OF_THE_CLOUD},
            "login.replicas 2 or more, unless `aws.highlyAvailable` is false",
        ),
    ],
)
def test_problem_is_named_with_what_is_allowed_when_it_is_alone(
    access: dict[str, Any], more: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(access, **more)
    assert expected in problem


def test_client_secret_is_refused_when_it_is_not_stored_encrypted() -> None:
    texts = {**_VALID, "access": json.dumps({"tls": "outside", "login": _LOGIN}), "loginSecret": "in plain text"}
    with pytest.raises(SettingsError) as caught:
        parse(texts, {"masterSecret"})
    (problem,) = caught.value.problems
    assert "loginSecret = [secret]: allowed is a text of at least 1 characters, stored encrypted" in str(problem)


def test_all_problems_are_named_when_there_are_several() -> None:
    found = problems(
        {"openPages": True, "tls": "gateway", "certificateIssuer": {"name": "public"}},
        aws={**_AWS, "highlyAvailable": False},
        context=None,
        namespace="kubeflow",
    )
    assert len(found) == 4


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_committed_stacks_in_the_cloud_have_a_login_and_tls_when_read(stack: str) -> None:
    config = {key.partition(":")[2]: value for key, value in STACKS[stack].config().items() if "mlplatform:" in key}
    access = parse(config, {"masterSecret"}).access
    assert access.login is not None
    assert access.tls == "outside"
