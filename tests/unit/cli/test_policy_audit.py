"""`mlp policy audit` over the objects of a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from ml.cli.app import app
from policies._examples import MANIFESTS
from policies._paths import changed
from policies.configuration import ConfigurationError
from tests.unit.cli.platform import FakePlatform

_SERVED = ("pods", "services", "secrets", "namespaces", "deployments.apps", "clusterroles.rbac.authorization.k8s.io")
_INSIDE = "pods,services,secrets,deployments.v1.apps"
_OUTSIDE = "clusterroles.v1.rbac.authorization.k8s.io"
_PASSWORD = "a password of somebody"


def fill(platform: FakePlatform, *inside: dict[str, Any], outside: tuple[dict[str, Any], ...] = ()) -> None:
    """Let the cluster hold objects, and nothing of the kinds that it does not know."""
    platform.rule("kubectl", "api-resources", stdout="\n".join(_SERVED))
    namespace = changed(MANIFESTS["Namespace"], {"metadata.name": "research"})
    platform.rule("kubectl", "get", "namespace", stdout=json.dumps(namespace))
    platform.objects("research", _INSIDE, items=list(inside))
    platform.objects(_OUTSIDE, "--selector=app.kubernetes.io/part-of=mlplatform", items=list(outside))


def audit(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["policy", "audit", *arguments])
    return done.exit_code, done.output


def test_exit_code_is_0_when_the_cluster_keeps_the_rules(platform: FakePlatform) -> None:
    fill(platform, MANIFESTS["Secret"], MANIFESTS["Service"])
    code, output = audit()
    assert code == 0, output
    assert "local: 3 resources" in output
    assert "0 refused" in output


def test_every_broken_rule_is_named_when_the_cluster_breaks_some(platform: FakePlatform) -> None:
    secret = changed(MANIFESTS["Secret"], {"metadata.labels": {}, "data": {"password": _PASSWORD}})
    role = changed(MANIFESTS["ClusterRole"], {"rules.0.verbs": ["*"]})
    fill(platform, secret, outside=(role,))
    code, output = audit("--format", "json")
    found = {(item["rule"], item["verdict"]) for item in json.loads(output)["findings"]}
    assert code == 1
    assert found == {("secret-owner", "refused"), ("role-wildcard-verbs", "refused")}


@pytest.mark.parametrize("form", ["table", "json", "sarif"])
def test_no_secret_is_shown_when_it_breaks_a_rule(platform: FakePlatform, form: str) -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"stringData": {"a": _PASSWORD}})}
    patch = {"metadata.labels": {}, "metadata.annotations": applied, "data": {"password": _PASSWORD}}
    fill(platform, changed(MANIFESTS["Secret"], patch))
    code, output = audit("--format", form)
    assert code == 1
    assert "secret-owner" in output
    assert _PASSWORD not in output


def test_cluster_is_not_asked_when_the_configuration_is_not_usable(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigurationError(["exemptions[0]: expires: 2020-01-01; it has expired"])

    monkeypatch.setattr("policies.configuration.load", refuse)
    fill(platform)
    code, output = audit()
    assert code == 1
    assert "it has expired" in output
    assert platform.calls("kubectl") == []
    assert platform.calls("pulumi") == []


def test_cause_is_named_when_the_cluster_does_not_answer(platform: FakePlatform) -> None:
    refused = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
    platform.rule("kubectl", "api-resources", stderr=refused, exit_code=1)
    code, output = audit()
    assert code == 1
    assert "the cluster does not answer" in output
