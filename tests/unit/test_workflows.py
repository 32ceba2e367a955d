"""The reference workflows: that what they run is there, that nothing they use can change, that they may do little.

What this does not prove: that GitHub runs them. None of them has run yet.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer.main
import yaml

from components._versions import PLATFORM_VERSION
from local.progress import ConsoleProgress
from local.toolchain import ensure
from ml.cli.app import app
from ml.cli.delivery.promotion import ORDER

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {file.stem: file for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
MAY_WRITE = {
    ("delivery", "review"): {"pull-requests"},
    ("delivery", "images"): {"packages", "id-token"},
    ("delivery", "dev"): {"id-token"},
    ("delivery", "staging"): {"id-token"},
    ("delivery", "prod"): {"id-token"},
    ("stack", "up"): {"id-token"},
    ("drift", "compare"): {"id-token", "issues"},
}
"""What each job may write; it may read the repository's content and nothing else."""
ON_RUNNERS = {"cat", "docker", "echo", "gh", "if", "else", "fi", "printf", "python3", "rm", "sh", "umask"}
"""Programs of GitHub's own machines, and words of the shell."""

every_workflow = pytest.mark.parametrize("name", sorted(WORKFLOWS))


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def triggers(name: str) -> dict[str, Any]:
    # YAML 1.1 takes the word `on` for true.
    return cast("dict[Any, Any]", read(name))[True]


def steps(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for job, content in read(name)["jobs"].items():
        for step in content.get("steps", []):
            yield job, step


def commands(name: str) -> Iterator[str]:
    for _, step in steps(name):
        for line in step.get("run", "").splitlines():
            if line.strip():
                yield line.strip()


def test_all_workflows_are_looked_at_when_one_is_added() -> None:
    assert set(WORKFLOWS) == {"delivery", "drift", "stack"}


@every_workflow
def test_actions_are_pinned_to_a_commit_and_say_their_version_when_used(name: str) -> None:
    lines = [
        line for line in WORKFLOWS[name].read_text(encoding="utf-8").splitlines() if re.match(r"\s*-? ?uses:", line)
    ]
    assert lines
    for line in lines:
        own = re.fullmatch(r"\s*uses: \./(\.github/workflows/\w+\.yml)", line)
        if own:
            assert (ROOT / own[1]).is_file()
        else:
            assert re.fullmatch(r"\s*- uses: [\w-]+(/[\w-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_version_when_used_in_several_places() -> None:
    found: dict[str, set[str]] = {}
    for name in WORKFLOWS:
        for _, step in steps(name):
            if "uses" in step:
                action, _, commit = step["uses"].partition("@")
                found.setdefault(action, set()).add(commit)
    assert {action: commits for action, commits in found.items() if len(commits) > 1} == {}


@every_workflow
def test_rights_are_least_when_declared(name: str) -> None:
    assert read(name)["permissions"] == {"contents": "read"}
    for job, content in read(name)["jobs"].items():
        rights = content.get("permissions", {"contents": "read"})
        assert {right for right, level in rights.items() if level == "write"} == MAY_WRITE.get((name, job), set()), job
        assert {right for right, level in rights.items() if level != "write"} <= {"contents"}, job


def test_changes_that_nobody_read_meet_no_secret_and_no_cloud_when_reviewed() -> None:
    assert set(triggers("delivery")) == {"pull_request", "push"}, "pull_request_target would give them secrets"
    for job, content in read("delivery")["jobs"].items():
        on_request = ("if" not in content and "needs" not in content) or "pull_request" in content.get("if", "")
        if on_request:
            text = yaml.safe_dump(content)
            assert "secrets" not in text, job
            assert "environment" not in content, job
            assert "id-token" not in text, job


@every_workflow
def test_texts_of_others_reach_no_shell_when_a_step_runs(name: str) -> None:
    """An expression inside a command would be put there before the shell reads it."""
    for command in commands(name):
        assert "${{" not in command, command


@every_workflow
def test_checkout_leaves_no_token_behind_when_it_is_done(name: str) -> None:
    found = [step for _, step in steps(name) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in found)


def test_stacks_come_one_after_the_other_each_in_its_environment_when_merged() -> None:
    jobs = read("delivery")["jobs"]
    assert [(jobs[stack]["needs"], jobs[stack]["with"]["stack"]) for stack in ORDER] == [
        ("images", "dev"),
        ("dev", "staging"),
        ("staging", "prod"),
    ]
    assert jobs["images"]["if"] == "github.event_name == 'push'"
    assert jobs["images"]["needs"] == "check"
    assert read("stack")["jobs"]["up"]["environment"] == "${{ inputs.stack }}"
    assert read("stack")["jobs"]["up"]["concurrency"]["cancel-in-progress"] is False


def test_drift_is_looked_for_every_day_in_every_stack_and_told_when_found() -> None:
    assert len(triggers("drift")["schedule"]) == 1
    job = read("drift")["jobs"]["compare"]
    assert [item["stack"] for item in job["strategy"]["matrix"]["include"]] == list(ORDER)
    (telling,) = [step for step in job["steps"] if step.get("if") == "failure()"]
    assert "gh issue create" in telling["run"]


# What they run --------------------------------------------------------------------------------------------------------


def test_every_command_is_there_when_a_step_runs_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w.-]+):", makefile, re.MULTILINE))
    stamps = {".venv/dev.stamp": "$(VENV)/dev.stamp:", ".venv-policies/stamp": "$(POLICY_VENV)/stamp:"}
    group = typer.main.get_command(app)
    known: set[str] = set(getattr(group, "commands"))  # noqa: B009 typer's group is not typed so
    seen: set[str] = set()
    for name in WORKFLOWS:
        for command in commands(name):
            words = shlex.split(command, comments=True)
            program, rest = words[0], words[1:]
            if program == "make":
                for target in (word for word in rest if "=" not in word):
                    assert target in targets or stamps.get(target, "?") in makefile, command
                seen.add(f"make {rest[0]}")
            elif program == ".venv/bin/mlp":
                assert rest[0] in known, command
                seen.add(f"mlp {rest[0]}")
            elif program in {"sh", "python3"}:
                assert (ROOT / rest[0]).is_file(), command
                seen.add(rest[0])
            else:
                assert program in ON_RUNNERS or "=" in program, command
    assert seen >= {"make check", "make deploy", "make drift", "mlp review", "mlp policy", "delivery/publish.sh"}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["deploy", "drift"])
def test_engine_knows_every_option_when_a_target_runs_it(target: str) -> None:
    pulumi = ensure(["pulumi"], ConsoleProgress()).bin("pulumi")
    shown = subprocess.run(["make", "-n", target, "STACK=prod"], cwd=ROOT, capture_output=True, text=True, check=True)
    (command,) = [line for line in shown.stdout.splitlines() if " pulumi " in line]
    words = shlex.split(command)
    verb = words[words.index("pulumi") + 1]
    assert words[words.index("--stack") + 1] == "prod"
    known = subprocess.run([pulumi, verb, "--help"], capture_output=True, text=True, check=True).stdout
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"(^|\s){re.escape(option)}\b", known), option


def test_targets_refuse_to_guess_a_stack_when_none_is_named() -> None:
    done = subprocess.run(["make", "-n", "deploy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "say which stack: make deploy STACK=prod" in done.stderr


def test_published_version_is_the_one_that_stacks_ask_for_when_read_without_packages() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "delivery/version.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == PLATFORM_VERSION


# Contents of images ---------------------------------------------------------------------------------------------------


def test_every_image_with_python_packages_is_described_when_asked(tmp_path: Path) -> None:
    """What `make sbom` runs, on one lock."""
    pytest.importorskip("cyclonedx_py", reason="needs the package cyclonedx-bom")
    file = tmp_path / "ml.json"
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "images/ml-packages/requirements.lock"]
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(file)]
    subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True)
    content = json.loads(file.read_text(encoding="utf-8"))
    names = {item["name"] for item in content["components"]}
    assert {"fastapi", "kopf", "httpx"} <= names
    assert all(item["externalReferences"][0]["hashes"] for item in content["components"])
    assert content["metadata"]["component"]["name"] == "mlplatform"
