"""What a person who runs `pulumi` with the pack sees: real engine, real pack, stand-in as provider."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.toolchain import Toolchain
from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.programs import eventually
from tests.local.provider.project import Project
from tests.policies.packs import PACK, findings, pack
from tests.support.stacks import ROOT

_NOWHERE = Path("/nowhere")
_SERVICE = """
labels = {"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "web", "app.kubernetes.io/managed-by": "pulumi"}
k8s.core.v1.Service("web", metadata={"name": "web", "namespace": "%s", "labels": labels},
    spec={"type": "%s", "selector": {"app": "web"}, "ports": [{"port": 80}]}, opts=opts())
"""
_UNKNOWN = """
skip = {"pulumi.com/skipAwait": "true"}
first = k8s.core.v1.ConfigMap("first", metadata={"namespace": "%(namespace)s"}, data={"a": "1"}, opts=opts())
late = first.metadata.uid.apply(lambda _: "%(value)s")
k8s.core.v1.Service("web", metadata={"name": "web", "namespace": "%(namespace)s", "annotations": skip, "labels": {
    "app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "web", "app.kubernetes.io/managed-by": late}},
    spec={"selector": {"app": late}, "ports": [{"port": 80}]}, opts=opts())
k8s.apps.v1.Deployment("server", metadata={"name": "web", "namespace": "%(namespace)s", "annotations": skip, "labels": {
    "app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "web", "app.kubernetes.io/managed-by": "pulumi"}},
    spec={"selector": {"match_labels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "web"}]}}}, opts=opts())
"""
_ONLY = '[levels]\ndefault = "disabled"\n[stacks.test]\n{rule} = "{level}"\n'
_EXEMPTION = """
[[exemptions]]
rule = "service-outside"
stacks = ["test"]
kind = "core/Service"
name = "web"
owner = "platform"
reason = "a test"
expires = {expires}
"""
_WRONG = "".join(
    [
        _ONLY.format(rule="no-such", level="mandatory"),
        _EXEMPTION.format(expires="2020-01-31"),
        _EXEMPTION.format(expires="2027-05-31").replace('owner = "platform"\n', ""),
    ]
)
"""An unknown rule, an exemption that has expired, and one that nobody answers for."""


@pytest.fixture(scope="module")
def offline(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose cluster does not answer, which a preview does not need."""
    it = Project(tmp_path_factory.mktemp("pulumi"), toolchain, _NOWHERE)
    it.create()
    return it


def test_preview_is_refused_with_the_rules_name_when_a_program_breaks_one(offline: Project) -> None:
    offline.program(_SERVICE % ("models", "NodePort"))
    output = offline.fail("preview", "--policy-pack", str(PACK))
    assert findings(output) == {"web": {("resource-mandatory", "service-outside")}}
    assert "Use a ClusterIP Service" in output


def test_preview_goes_on_when_a_program_keeps_the_rules(offline: Project) -> None:
    offline.program(_SERVICE % ("models", "ClusterIP"))
    output = offline.run("preview", "--policy-pack", str(PACK))
    assert findings(output) == {}
    assert "✅ mlplatform@v1.0.0" in output


def test_level_and_exemption_decide_when_the_stack_has_them(offline: Project, tmp_path: Path) -> None:
    offline.program(_SERVICE % ("models", "NodePort"))
    for name, text in (
        ("advice", _ONLY.format(rule="service-outside", level="advisory")),
        ("exempt", f"[stacks.test]\n{_EXEMPTION.format(expires='2027-05-31')}"),
    ):
        (tmp_path / name).mkdir()
        output = offline.run("preview", "--policy-pack", str(pack(tmp_path / name, text)))
        expected = {"web": {("resource-advisory", "service-outside")}} if name == "advice" else {}
        assert findings(output) == expected


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (_WRONG, ["it has expired", "owner: None", "stacks.test.no-such: there is no such rule"]),
        ("levels = 1\n[levels", ["policies.toml"]),
    ],
    ids=["wrong", "malformed"],
)
def test_nothing_is_previewed_when_the_configuration_is_not_usable(
    offline: Project, tmp_path: Path, configuration: str, expected: list[str]
) -> None:
    offline.program('raise AssertionError("the program was started")')
    output = offline.fail("preview", "--policy-pack", str(pack(tmp_path, configuration)))
    assert [words for words in expected if words not in output] == [], output
    assert "the program was started" not in output


def test_missing_environment_is_named_when_the_pack_starts(offline: Project, tmp_path: Path) -> None:
    copy = pack(tmp_path, "")
    (tmp_path / ".venv-policies").unlink()
    output = offline.fail("preview", "--policy-pack", str(copy))
    assert "run make .venv-policies/stamp" in output


@dataclass(frozen=True, kw_only=True)
class Late:
    """A stack with values that only an update knows, a pack with two rules about them, and what a preview said."""

    project: Project
    namespace: str
    policies: str
    previewed: dict[str, set[tuple[str, str]]]

    def update(self, value: str) -> dict[str, set[tuple[str, str]]]:
        """Return what is found in an update, which is refused."""
        self.project.program(_UNKNOWN % {"namespace": self.namespace, "value": value})
        return findings(self.project.fail("up", "--yes", "--skip-preview", "--policy-pack", self.policies))


@pytest.fixture(scope="module")
def late(
    offline: Project, toolchain: Toolchain, api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Late:
    folder, namespace = tmp_path_factory.mktemp("late"), "late-values"
    api_server.kubectl("create", "namespace", namespace)
    project = Project(folder, toolchain, api_server.kubeconfig)
    project.create_like(offline)
    rules = _ONLY.format(rule="labels-recommended", level="mandatory") + 'service-without-pods = "mandatory"\n'
    (folder / "pack").mkdir()
    policies = str(pack(folder / "pack", rules))
    project.program(_UNKNOWN % {"namespace": namespace, "value": ""})
    previewed = findings(project.run("preview", "--policy-pack", policies))
    return Late(project=project, namespace=namespace, policies=policies, previewed=previewed)


def test_unknown_value_is_judged_in_the_update_when_the_preview_could_not(late: Late, api_server: ControlPlane) -> None:
    assert ("resource-unknown", "labels-recommended") in late.previewed["web"]
    assert late.update("")["web"] == {("resource-mandatory", "labels-recommended")}
    assert api_server.client.find(f"/api/v1/namespaces/{late.namespace}/services/web") is None


def test_rule_over_several_resources_is_judged_after_the_update_when_a_value_was_unknown(late: Late) -> None:
    assert late.previewed == {
        "web": {("resource-unknown", "labels-recommended"), ("stack-unknown", "service-without-pods")}
    }
    assert late.update("nobody") == {"web": {("stack-mandatory", "service-without-pods")}}


def test_pack_ends_when_its_engine_is_gone() -> None:
    pack = "import time; from policies.pack import end_with_parent as it; it(); print('up', flush=True); time.sleep(99)"
    engine = (
        "import subprocess, sys; it = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE); "
        "it.stdout.readline(); print(it.pid, flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", engine, pack], cwd=ROOT, capture_output=True, text=True, check=True)
    process = Path("/proc") / done.stdout.strip()
    eventually(lambda: not process.exists() or "State:\tZ" in (process / "status").read_text())
