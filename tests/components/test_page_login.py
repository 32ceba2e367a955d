"""The login of one page. What OAuth2 Proxy makes of it is tested in tests/stack."""

from __future__ import annotations

import base64
from dataclasses import replace

import pulumi
import pytest

from components.page_login import PageLogin
from tests.support import pods
from tests.support.catalogue import EXAMPLES, declare, declare_one
from tests.support.catalogue_cluster import page_login
from tests.support.recording_monitor import Graph


@pytest.fixture
def graph() -> Graph:
    return declare_one(PageLogin, instance="login-mlflow")


def arguments(graph: Graph, name: str = "login-mlflow") -> list[str]:
    return pods.containers_of(graph.object("Deployment", name))["login"]["args"]


def test_cookie_secret_has_a_length_that_the_proxy_takes_when_derived(graph: Graph) -> None:
    secret = graph.object("Secret", "login-mlflow").manifest["stringData"]["cookie-secret"]
    assert len(base64.urlsafe_b64decode(secret)) == 32


def test_no_secret_is_an_argument_when_declared(graph: Graph) -> None:
    secrets = graph.object("Secret", "login-mlflow").manifest["stringData"].values()
    assert not any(secret in argument for secret in secrets for argument in arguments(graph))
    assert "--client-secret-file=/run/secrets/login/client-secret" in arguments(graph)


def test_cookie_stays_with_its_host_when_declared(graph: Graph) -> None:
    given = arguments(graph)
    assert "--cookie-name=__Host-login" in given
    # With a domain or another path, browsers refuse a cookie of that name.
    assert not any(argument.startswith(("--cookie-domain", "--cookie-path")) for argument in given)


def test_what_it_passes_on_to_is_the_page_alone_when_declared(graph: Graph) -> None:
    upstreams = [argument for argument in arguments(graph) if argument.startswith("--upstream=")]
    assert upstreams == ["--upstream=http://mlflow.login-mlflow.svc.cluster.local:5000/"]


def test_nothing_is_let_in_without_being_asked_when_declared(graph: Graph) -> None:
    given = arguments(graph)
    assert not any(
        argument.startswith(("--skip-auth-", "--trusted-ip", "--insecure", "--ssl-in")) for argument in given
    )


def test_programs_and_groups_are_left_out_when_there_are_none() -> None:
    def build(opts: pulumi.ResourceOptions) -> None:
        issuer = replace(page_login("login-mlflow").issuer, audience=None, groups=())
        EXAMPLES[PageLogin].make("login-mlflow", opts=opts, issuer=issuer)

    given = arguments(declare(build))
    assert not any(argument.startswith(("--oidc-extra-audience", "--allowed-group")) for argument in given)


def test_drains_take_one_pod_at_a_time_when_there_are_several(graph: Graph) -> None:
    assert graph.of_kind("PodDisruptionBudget")
    assert not declare_one(PageLogin, instance="login-mlflow", replicas=1).of_kind("PodDisruptionBudget")
