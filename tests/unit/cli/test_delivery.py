"""`mlp promote`, `mlp delivery`, `mlp review`: a line of a file, objects of other people's controllers, a comment."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ml.cli.app import app
from ml.cli.delivery import manifests, promotion, source
from ml.cli.delivery.manifests import Delivery
from ml.cli.delivery.review import MARK, Review, markdown
from ml.cli.errors import UserError
from ml.cli.render.cost import estimate
from ml.cli.render.difference import compare
from ml.cli.render.graph import Rendered
from ml.cli.render.prices import load as load_prices
from policies.configuration import load
from policies.engine import evaluate
from policies.sources import from_lines
from tests.support import schemas

DELIVERY = Delivery(
    stack="dev",
    repository="https://git.example.org/mlplatform.git",
    branch="main",
    backend="s3://state",
    image="registry.example.org/mlplatform/deployer:0.1.0",
    own_cluster=False,
)
STACK = """# What a stack says.
config:
  # Moves on.
  mlplatform:version: "{version}"
  mlplatform:domain: example.org # the stack's
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for stack, version in (("dev", "0.3.0"), ("staging", "0.2.0"), ("prod", "0.1.0")):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(STACK.format(version=version), encoding="utf-8")
    return tmp_path


# Promotion ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stack", "after"), [("staging", "0.3.0"), ("prod", "0.2.0")])
def test_stack_gets_what_the_one_before_it_runs_when_promoted(project: Path, stack: str, after: str) -> None:
    before = (project / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    planned = promotion.plan(stack, None, project)
    promotion.write(planned)
    text = (project / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    assert text == before.replace(planned.before, after), "one line, comments stay"
    assert yaml.safe_load(text)["config"]["mlplatform:version"] == after


def test_version_is_taken_when_one_is_said(project: Path) -> None:
    promotion.write(promotion.plan("dev", "0.4.0-rc.1", project))
    assert promotion.plan("staging", None, project).after == "0.4.0-rc.1"


@pytest.mark.parametrize(
    ("stack", "version", "expected"),
    [
        ("local", None, "`local` takes no promotions"),
        ("dev", None, "`dev` is the first stack"),
        ("dev", "latest", "`latest` is no version"),
        ("dev", "0.3.0", "`dev` has version 0.3.0 already"),
    ],
)
def test_promotion_is_refused_with_a_remedy_when_it_makes_no_sense(
    project: Path, stack: str, version: str | None, expected: str
) -> None:
    with pytest.raises(UserError) as caught:
        promotion.plan(stack, version, project)
    assert caught.value.what.startswith(expected)
    assert caught.value.remedy


def test_promotion_is_refused_when_the_file_says_no_version(project: Path) -> None:
    (project / "Pulumi.prod.yaml").write_text("config: {}\n", encoding="utf-8")
    with pytest.raises(UserError, match="does not say one version"):
        promotion.plan("prod", None, project)


def test_commit_holds_the_one_line_on_its_own_branch_when_other_work_lies_around(project: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        done = subprocess.run(["git", *identity, *arguments], cwd=project, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "Somebody")
    git("config", "user.email", "somebody@example.org")
    git("add", ".")
    git("commit", "--quiet", "--message=Begin")
    (project / "Pulumi.dev.yaml").write_text(STACK.format(version="9.9.9"), encoding="utf-8")
    git("add", "Pulumi.dev.yaml")

    planned = replace(promotion.plan("prod", None, project))
    promotion.commit(planned, project)

    assert git("branch", "--show-current") == "promote/prod-0.2.0"
    assert git("log", "-1", "--format=%s") == "Promote 0.2.0 to prod, which runs 0.1.0"
    assert git("show", "--name-only", "--format=") == "Pulumi.prod.yaml"
    assert git("diff", "--cached", "--name-only") == "Pulumi.dev.yaml", "what was staged stays staged"
    with pytest.raises(UserError, match="git switch fails"):
        promotion.commit(planned, project)


def test_every_stack_of_this_repository_says_a_version_when_read() -> None:
    for stack in ("dev", "staging", "prod"):
        assert promotion.plan(stack, "99.0.0").before


# By Git -------------------------------------------------------------------------------------------------------------


def objects(delivery: Delivery) -> dict[str, dict[str, Any]]:
    found = [*manifests.operator_objects(delivery), *manifests.argo_objects(delivery, "mlplatform")]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}


@pytest.mark.parametrize("own_cluster", [True, False])
def test_objects_fit_the_controllers_definitions_when_printed(own_cluster: bool) -> None:
    found = objects(replace(DELIVERY, own_cluster=own_cluster))
    assert len(found) == 6
    for item in found.values():
        if item["apiVersion"].startswith(("pulumi.com/", "argoproj.io/")):
            schemas.check_custom(item)
        else:
            schemas.check_kubernetes(item, "1.35")


def test_check_fails_when_a_field_of_a_stack_is_misspelt() -> None:
    stack = objects(DELIVERY)["Stack/mlplatform-dev"]
    stack["spec"]["resyncFrequency"] = stack["spec"].pop("resyncFrequencySeconds")
    with pytest.raises(schemas.SchemaViolationError, match="resyncFrequency"):
        schemas.check_custom(stack)


def test_stack_is_neither_made_nor_destroyed_by_the_operator_when_delivered() -> None:
    spec = objects(DELIVERY)["Stack/mlplatform-dev"]["spec"]
    assert spec["useLocalStackOnly"] is True
    assert spec["destroyOnFinalize"] is False
    assert "preview" not in spec


def test_drift_is_looked_for_and_never_repaired_when_delivered() -> None:
    spec = objects(DELIVERY)["Stack/mlplatform-dev-drift"]["spec"]
    assert spec["preview"] is True
    assert spec["refresh"] is True
    assert spec["expectNoRefreshChanges"] is True
    assert spec["continueResyncOnCommitMatch"] is True
    assert spec["resyncFrequencySeconds"] == 3600


def test_secrets_are_named_and_never_written_when_delivered() -> None:
    given, own = (objects(replace(DELIVERY, own_cluster=own)) for own in (False, True))
    spec = given["Stack/mlplatform-dev"]["spec"]
    assert spec["envRefs"]["PULUMI_CONFIG_PASSPHRASE"]["secret"] == {"name": "dev-delivery", "key": "passphrase"}
    (volume,) = spec["workspaceTemplate"]["spec"]["podTemplate"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == "dev-delivery"
    assert "podTemplate" not in own["Stack/mlplatform-dev"]["spec"]["workspaceTemplate"]["spec"]
    assert not [name for name in given if name.startswith("Secret/")]


def test_workspace_may_only_ask_who_calls_it_when_bound() -> None:
    (binding,) = [item for name, item in objects(DELIVERY).items() if name.startswith("ClusterRoleBinding/")]
    assert binding["roleRef"]["name"] == "system:auth-delegator"


def test_names_are_short_enough_for_the_operator_when_a_stack_is_named() -> None:
    for stack in promotion.ORDER:
        for name in objects(replace(DELIVERY, stack=stack)):
            assert len(name.partition("/")[2]) <= 42


def test_argo_cd_gets_the_folder_that_holds_the_operators_objects_when_asked() -> None:
    arguments = ["delivery", "staging", "--repository=https://git.example.org/x.git", "--image=r.example.org/d:1"]
    arguments += ["--backend=s3://state"]
    done = CliRunner().invoke(app, [*arguments, "--kind=argo-cd"])
    assert done.exit_code == 0, done.output
    (application,) = yaml.safe_load_all(done.stdout)
    assert application["spec"]["source"]["path"] == "delivery/staging"
    assert application["spec"]["syncPolicy"]["automated"] == {"prune": False, "selfHeal": True}
    done = CliRunner().invoke(app, [*arguments, "--kind=pulumi-operator"])
    kinds = [item["kind"] for item in yaml.safe_load_all(done.stdout)]
    assert kinds == ["Namespace", "ServiceAccount", "ClusterRoleBinding", "Stack", "Stack"]
    assert "KUBECONFIG" not in done.stdout, "staging makes its own cluster"


def test_stacks_with_a_cluster_of_their_own_are_known_when_read() -> None:
    assert [stack for stack in promotion.ORDER if source.makes_own_cluster(stack)] == ["staging", "prod"]
    with pytest.raises(UserError, match="there is no stack `none`"):
        source.makes_own_cluster("none")


# Review -------------------------------------------------------------------------------------------------------------


def reviewed(*, lines: str, changes: int) -> Review:
    before = Rendered(title="dev at HEAD~1", resources={})
    difference = compare(before, before)
    return Review(
        stack="dev",
        difference=replace(difference, before="```\n" * changes),
        report=evaluate(from_lines(lines), load(datetime.now(UTC).date()), "dev"),
        before=estimate(before, load_prices()),
        after=estimate(before, load_prices()),
    )


def test_comment_names_every_stack_and_hides_details_when_all_is_well() -> None:
    text = markdown([reviewed(lines="", changes=0)])
    assert text.startswith(MARK)
    assert "| `dev` | 0 | 0 | 0 | 0 | not estimated: a given cluster |" in text
    assert "is refused" not in text
    assert text.count("<details>") == text.count("</details>") == 1


def test_comment_says_what_is_refused_when_a_policy_does() -> None:
    inputs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "open"}}
    kind, name = "kubernetes:core/v1:Namespace", "open"
    urn = f"urn:pulumi:dev::mlplatform::{kind}::{name}"
    bad = json.dumps({"type": kind, "name": name, "urn": urn, "protect": False, "inputs": inputs})
    text = markdown([reviewed(lines=bad, changes=0)])
    assert "**`dev` is refused:**" in text
    assert "- namespace-pod-security: " in text


def test_fence_of_the_comment_is_not_ended_when_a_change_holds_one() -> None:
    assert markdown([reviewed(lines="", changes=3)]).count("```") == 2


@pytest.mark.slow
def test_review_of_this_repository_finds_no_difference_when_compared_with_itself() -> None:
    done = CliRunner().invoke(app, ["review", "--base", "HEAD", "dev", "prod"])
    assert done.exit_code == 0, done.output
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    assert [row.split("|")[1].strip() for row in rows] == ["`dev`", "`prod`"]
    assert all(row.split("|")[5].strip() == "0" for row in rows), "the policies refuse nothing"
    assert "(+0)" in rows[1]
