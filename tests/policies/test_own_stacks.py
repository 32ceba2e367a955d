"""What this repository deploys keeps its own rules, and the commands say so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache

import pytest
import yaml
from typer.testing import CliRunner

from ml.cli.app import app
from ml.cli.policy.rendering import Rendering, render, started
from policies import docs, fixing, sources
from policies._model import Resource, Verdict
from policies._paths import MISSING, UNKNOWN, changed
from policies.configuration import Configuration, load
from policies.engine import evaluate
from policies.registry import BY_ID
from policies.render.__main__ import lines
from policies.report import as_data, as_sarif, ordered, word
from tests.policies.samples import resource_of
from tests.support.stacks import (
    CARD_CLAIMS,
    DATABASE_CLUSTER,
    DATABASE_CLUSTER_IN_CLOUD,
    PIPELINES_WITH_PAGE,
    ROOT,
    STACKS,
    StackUnderTest,
)

_STACKS = ("local", "dev", "staging", "prod")

_rendered = cache(render)
"""Each stack's program runs once; what it declares is never changed."""


@pytest.fixture(scope="module", params=_STACKS)
def rendered(request: pytest.FixtureRequest) -> tuple[str, list[Resource]]:
    return request.param, _rendered(request.param)


@cache
def rendered_with_page() -> list[Resource]:
    return sources.from_lines("\n".join(lines(PIPELINES_WITH_PAGE.run(preview=True))))


@pytest.fixture
def configuration() -> Configuration:
    return load(datetime.now(UTC).date())


def test_nothing_is_refused_or_unknown_when_a_stack_is_rendered(
    rendered: tuple[str, list[Resource]], configuration: Configuration
) -> None:
    stack, resources = rendered
    report = evaluate(resources, configuration, stack)
    assert len(resources) > 50
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()


def test_nothing_is_refused_or_unknown_when_pipelines_have_a_page(configuration: Configuration) -> None:
    report = evaluate(rendered_with_page(), configuration, "dev")
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()


@pytest.mark.parametrize("variant", [DATABASE_CLUSTER, DATABASE_CLUSTER_IN_CLOUD], ids=["dev", "staging"])
def test_nothing_is_refused_or_unknown_when_an_operator_runs_the_database(
    configuration: Configuration, variant: StackUnderTest
) -> None:
    resources = sources.from_lines("\n".join(lines(variant.run(preview=True))))
    report = evaluate(resources, configuration, variant.name)
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()
    # It needs no exemption, as the pod does that has no backup.
    assert "metadata-db" not in {item.finding.resource.name for item in report.of(Verdict.EXEMPT)}


@pytest.mark.parametrize(
    ("kind", "patch", "rule"),
    [
        ("postgresql.cnpg.io/Cluster", {"spec.plugins.0.isWALArchiver": False}, "database-cluster-backup"),
        ("postgresql.cnpg.io/ScheduledBackup", {"spec.suspend": True}, "database-cluster-backup"),
    ],
)
def test_database_is_refused_when_its_backups_are_switched_off(
    configuration: Configuration, kind: str, patch: dict[str, object], rule: str
) -> None:
    resources = sources.from_lines("\n".join(lines(DATABASE_CLUSTER.run(preview=True))))
    weakened = [
        replace(item, properties=changed(item.properties, patch)) if item.kind == kind else item for item in resources
    ]
    report = evaluate(weakened, configuration, "dev")
    assert {item.rule.id for item in report.judged if item.refuses} == {rule}


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "nvidia.com/gpu.shared"])
def test_nothing_is_refused_or_unknown_when_models_are_served_by_gpus(
    configuration: Configuration, resource: str
) -> None:
    pool = {"name": "l4", "families": ["g6"], "timeSlices": 1 if resource == "nvidia.com/gpu" else 4}
    aws = {**yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]["mlplatform:aws"], "gpuPools": [pool]}
    serving = {"accelerator": "l4", "resources": {"gpus": 1, "gpuResource": resource}}
    gpu = {"operator": True, "quota": 80}
    brought = dict.fromkeys(("istio", "keda", "gpuOperator"), "install")
    added = {"aws": aws, "modelServer": serving, "gpu": gpu, "prerequisites": brought}
    stack = replace(STACKS["prod"], added=added)
    report = evaluate(sources.from_lines("\n".join(lines(stack.run(preview=True)))), configuration, "prod")
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()


def test_nothing_is_refused_or_unknown_when_cards_are_claimed(configuration: Configuration) -> None:
    report = evaluate(sources.from_lines("\n".join(lines(CARD_CLAIMS.run(preview=True)))), configuration, "dev")
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()


@pytest.mark.parametrize(
    ("kind", "patch", "rule"),
    [
        ("apps/Deployment", {"spec.template.spec.tolerations": []}, "gpu-toleration"),
        ("apps/Deployment", {"metadata.annotations": {}}, "gpu-idle-budget"),
        ("apps/Deployment", {"spec.template.spec.containers.0.resources.claims": []}, "gpu-node-without-gpu"),
        (
            "resource.k8s.io/ResourceClaimTemplate",
            {"spec.spec.devices.requests.0.exactly.count": 16},
            "gpu-claim-count",
        ),
    ],
)
def test_claim_is_refused_as_a_number_of_cards_would_be_when_it_is_weakened(
    configuration: Configuration, kind: str, patch: dict[str, object], rule: str
) -> None:
    resources = sources.from_lines("\n".join(lines(CARD_CLAIMS.run(preview=True))))
    claiming = [item for item in resources if item.kind == kind and "gpu" in str(item.properties)]
    weakened = [replace(item, properties=changed(item.properties, patch)) for item in claiming]
    broken = evaluate(weakened, configuration, "dev", [BY_ID[rule]]).of(Verdict.VIOLATION)
    assert len(broken) == len(claiming) > 0


def test_every_exemption_is_used_when_all_stacks_are_judged(configuration: Configuration) -> None:
    judged = [*((stack, _rendered(stack)) for stack in _STACKS), ("dev", rendered_with_page())]
    used = {
        (item.rule.id, item.finding.resource.name)
        for stack, resources in judged
        for item in evaluate(resources, configuration, stack).of(Verdict.EXEMPT)
    }
    assert used == {(item.rule, item.name) for item in configuration.exemptions}


@pytest.mark.parametrize(
    ("kind", "name", "patch", "rule"),
    [
        ("apps/StatefulSet", "prometheus", {"spec.template.spec.hostNetwork": True}, "pod-host-network"),
        (
            "apps/Deployment",
            "api",
            {"spec.template.spec.containers.0.image": "docker.io/x:latest"},
            "image-version-pinned",
        ),
        ("apps/Deployment", "api", {"spec.template.metadata.labels": {}}, "service-without-pods"),
        ("core/Namespace", "free-deep-research", {"metadata.labels": MISSING}, "namespace-pod-security"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stack_is_refused_when_one_of_its_resources_is_weakened(
    rendered: tuple[str, list[Resource]],
    configuration: Configuration,
    kind: str,
    name: str,
    patch: dict[str, object],
    rule: str,
) -> None:
    stack, resources = rendered
    weakened = [
        Resource(
            kind=item.kind,
            name=item.name,
            namespace=item.namespace,
            properties=changed(item.properties, patch) if (item.kind, item.name) == (kind, name) else item.properties,
            urn=item.urn,
            protected=item.protected,
        )
        for item in resources
    ]
    report = evaluate(weakened, configuration, stack)
    assert rule in {item.rule.id for item in report.judged if item.refuses}


def test_contents_of_secrets_are_left_out_when_a_stack_is_rendered(rendered: tuple[str, list[Resource]]) -> None:
    secrets = [item for item in rendered[1] if item.kind == "core/Secret"]
    known = [dict(data) for item in secrets if (data := item.properties["stringData"]) is not UNKNOWN]
    assert known
    assert {value for data in known for value in data.values()} == {"[secret]"}


def test_check_prints_sarif_when_asked() -> None:
    done = CliRunner().invoke(app, ["policy", "check", "dev", "--format", "sarif"])
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)["runs"][0]["results"]
    assert {result["ruleId"] for result in results} == {
        "gateway-tls",
        "role-pod-exec",
        "stateful-backup",
        "workload-liveness-probe",
        "workload-monitored",
        "workload-readiness-probe",
    }
    assert all(result["suppressions"][0]["justification"] for result in results)


def test_check_prints_one_summary_line_when_asked_for_a_table() -> None:
    done = CliRunner().invoke(app, ["policy", "check", "dev"])
    assert done.exit_code == 0
    assert "0 refused, 0 advised, 0 unknown, 12 exempt" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["check", "none"], "there is no stack `none`"), (["explain", "none"], "there is no rule `none`")],
)
def test_command_names_what_there_is_when_asked_for_something_else(arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(app, ["policy", *arguments])
    assert done.exit_code == 1
    assert expected in done.output


def test_program_is_ended_when_something_else_fails_meanwhile() -> None:
    seen: list[Rendering] = []

    def fails_meanwhile() -> None:
        with started("dev") as rendering:
            seen.append(rendering)
            raise ValueError("a mistake in the configuration")

    with pytest.raises(ValueError, match="mistake"):
        fails_meanwhile()
    assert seen[0].process.wait(timeout=10) != 0


def test_report_words_differ_when_verdicts_do() -> None:
    resources = [
        resource_of("Ingress", {"spec.tls": []}),
        resource_of("Service", {"spec.type": "NodePort", "metadata.labels": MISSING}),
    ]
    configuration = Configuration()
    report = evaluate(resources, configuration, "dev")
    assert [word(item) for item in ordered(report)] == ["refused"] * 3
    assert as_data(report)["refused"] is True
    levels = {result["ruleId"]: result["level"] for result in as_sarif(report)["runs"][0]["results"]}
    assert levels == {"ingress-tls": "error", "service-outside": "error", "labels-recommended": "error"}


def test_patch_repairs_when_a_rule_knows_how() -> None:
    resource = resource_of("Deployment", {"spec.template.spec.containers.0.securityContext": MISSING})
    report = evaluate([resource], Configuration(), "dev")
    found = {item.rule.id: fixing.patch(item) for item in report.judged}
    place = "/spec/template/spec/containers/0/securityContext"
    assert found["container-privilege-escalation"] == [
        {"op": "add", "path": place, "value": {}},
        {"op": "add", "path": f"{place}/allowPrivilegeEscalation", "value": False},
    ]
    assert found["container-writable-root"] == []


def test_document_is_current_when_rules_change() -> None:
    assert docs.FILE.read_text(encoding="utf-8") == docs.document(), "run `python -m policies.docs`"


def test_configuration_is_valid_today_when_loaded() -> None:
    assert load(datetime.now(UTC).date()).exemptions
    assert all(item.expires > date(2026, 11, 24) for item in load(datetime.now(UTC).date()).exemptions)
