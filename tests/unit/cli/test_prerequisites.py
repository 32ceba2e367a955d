"""What a stack expects, by its committed configuration; what a cluster has is asked in tests/stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.prerequisites import expected, refusal
from ml.contracts.prerequisite_check import DEFINITIONS, Finding, JsonObject, check
from tests.support.stacks import ROOT


def configure(folder: Path, settings: dict[str, Any]) -> Path:
    config = {f"mlplatform:{key}": value for key, value in settings.items()}
    (folder / "Pulumi.test.yaml").write_text(json.dumps({"config": config}), encoding="utf-8")
    return folder


def test_defaults_hold_when_nothing_is_configured(tmp_path: Path) -> None:
    assert expected(configure(tmp_path, {}), "test").names == ("istio",)


def test_only_what_must_be_found_is_expected_when_states_differ(tmp_path: Path) -> None:
    states = {"istio": "install", "keda": "present", "certManager": "absent", "externalDnsProvider": "aws"}
    assert expected(configure(tmp_path, {"prerequisites": states}), "test").names == ("keda",)


@pytest.mark.parametrize(
    ("stack", "names"), [("dev", ("istio",)), ("staging", ()), ("prod", ()), ("local", ("istio",))]
)
def test_committed_stacks_expect_what_they_say_when_read(stack: str, names: tuple[str, ...]) -> None:
    assert expected(ROOT, stack).names == names


def test_unknown_name_is_refused_with_those_that_there_are_when_misspelt(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown prerequisites: kedda") as caught:
        expected(configure(tmp_path, {"prerequisites": {"kedda": "present"}}), "test")
    assert "keda" in caught.value.remedy


@pytest.mark.parametrize("text", [None, "config: [", "a: b: c"])
def test_stack_is_named_when_its_file_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "Pulumi.test.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"Pulumi\.test\.yaml"):
        expected(tmp_path, "test")


def test_cluster_is_the_one_of_the_configuration_unless_another_is_asked_for(tmp_path: Path) -> None:
    wanted = expected(configure(tmp_path, {"context": "dev", "kubeconfig": "/home/me/config"}), "test")
    ambient = Connection(stack="test", project_dir=tmp_path, environment={"HOME": "/home/me"}, context=None)
    found = wanted.connection(ambient)
    assert found.context == "dev"
    assert found.environment == {"HOME": "/home/me", "KUBECONFIG": "/home/me/config"}
    other = Connection(stack="test", project_dir=tmp_path, environment={}, context="other")
    assert wanted.connection(other).context == "other"


def test_encrypted_kubeconfig_is_left_alone_when_only_the_engine_can_read_it(tmp_path: Path) -> None:
    assert expected(configure(tmp_path, {"kubeconfig": {"secure": "v1:..."}}), "test").kubeconfig is None


def test_nothing_is_refused_when_everything_is_there() -> None:
    found = Finding(name="keda", title="KEDA", needed="2.15", problems=())
    assert refusal("test", [found], None) is None


def test_context_is_named_when_something_is_missing_there() -> None:
    lacking = Finding(name="keda", title="KEDA", needed="2.15", problems=("it is not there",))
    refused = refusal("test", [lacking], "shared")
    assert refused is not None
    assert refused.what == (
        "1 prerequisite of stack `test` not met in the cluster of context `shared`, "
        "nothing has been deployed into it:\n  - KEDA 2.15 or later: it is not there"
    )


def test_cluster_is_too_old_for_claims_when_it_serves_devices_in_other_versions_only() -> None:
    """As one of Kubernetes 1.33 answers, which was not at hand: it has no such path, and is not asked for it."""
    groups = [
        {"name": "apps", "versions": [{"version": "v1"}]},
        {"name": "resource.k8s.io", "versions": [{"version": "v1beta2"}, {"version": "v1beta1"}]},
    ]
    answers: dict[str, JsonObject] = {DEFINITIONS: {"items": []}, "/apis": {"groups": groups}}
    (found,) = check(answers.__getitem__, ["draDriver"])
    assert found.problems == ("the cluster does not serve resource.k8s.io/v1, which Kubernetes does from 1.34 on",)
    refused = refusal("test", [found], None)
    assert refused is not None
    assert refused.remedy == "install what is missing in the cluster"


def test_stack_installs_what_it_can_when_something_else_is_missing_too() -> None:
    lacking = [
        Finding(name=name, title=name, needed="1", problems=("it is not there",)) for name in ("draDriver", "keda")
    ]
    refused = refusal("test", lacking, None)
    assert refused is not None
    assert refused.remedy.endswith("or let the stack do it: `mlplatform:prerequisites: {keda: install}`")
