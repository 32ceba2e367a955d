"""What documents tell people to type: commands that reach what they are meant for, and tables that fit the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml

from ml.api.commands import ALLOWED_PHASES
from ml.contracts.abtest import read_spec
from ml.controller.commands import read_command
from ml.events.types import FINAL_PHASES, Phase

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_RUNBOOKS = sorted((_DOCS / "runbooks").glob("*.md"))
_CLUSTER_WIDE = ("nodepools", "nodes", "nodeclaims")
_COMMAND = "mlplatform.dev/command="
_EARLY: Phase = "Pending"
"""Of this the table says in words what is allowed when."""


def code_of(document: Path) -> list[str]:
    """Return every piece of code in a document, those over several lines as one line."""
    text = document.read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()]
    return [" ".join(piece.split()) for piece in (*lines, *spans)]


@pytest.mark.parametrize("runbook", _RUNBOOKS, ids=lambda runbook: runbook.stem)
def test_kubectl_names_a_namespace_when_a_runbook_uses_it(runbook: Path) -> None:
    commands = [piece for piece in code_of(runbook) if piece.startswith("kubectl ")]
    elsewhere = [
        command
        for command in commands
        if not re.search(r" (-n|--namespace)[ =]\S", command) and command.split()[2] not in _CLUSTER_WIDE
    ]
    assert elsewhere == []


def test_intervention_by_kubectl_is_a_command_when_a_shell_has_read_it() -> None:
    lines = [line for runbook in _RUNBOOKS for line in code_of(runbook) if _COMMAND in line]
    assert len(lines) >= 3
    for line in lines:
        said = subprocess.run(
            ["bash", "-euc", f"kubectl() {{ printf '%s\\n' \"$@\"; }}\n{line}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        assert "--overwrite" in said, line
        (annotation,) = [word.removeprefix(_COMMAND) for word in said if word.startswith(_COMMAND)]
        command = read_command({"mlplatform.dev/command": annotation}, 0.0)
        assert command is not None
        assert command.command.isdigit(), "a number of its own each time: one that is known is passed over"


def test_phases_say_what_the_api_allows_when_a_person_looks_them_up() -> None:
    text = (_DOCS / "experiments.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z][A-Za-z, ]+) \|.*\| *([^|]*?) *\|$", text, re.MULTILINE)
    allowed = {
        phase: set(re.findall(r"[a-z]+", what.partition(":")[0])) for names, what in rows for phase in names.split(", ")
    }
    assert set(allowed) == set(get_args(Phase))
    for phase, actions in allowed.items():
        if phase != _EARLY:
            assert actions == {action for action, phases in ALLOWED_PHASES.items() if phase in phases}, phase
    assert all(not allowed[phase] for phase in FINAL_PHASES)


def test_example_is_an_experiment_of_the_platform_when_applied() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (_DOCS / "experiments.md").read_text(encoding="utf-8"), re.DOTALL)
    manifest = yaml.safe_load(example)
    assert manifest["metadata"]["namespace"] == "free-deep-research"
    assert read_spec(manifest["spec"]).model == "content_quality_model"
