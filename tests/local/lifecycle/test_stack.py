"""What the repository's settings say before there is a stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import paths
from local.lifecycle.stack import expected_prerequisites, settings


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "repo_root", lambda: tmp_path)
    return tmp_path / "Pulumi.local.yaml"


def test_nothing_is_expected_when_the_stack_is_the_one_of_the_repository() -> None:
    assert settings()["mlplatform:clusterIdentifier"] == "embedded"
    assert expected_prerequisites() == []


def test_only_what_is_present_is_expected_when_a_stack_says_so(written: Path) -> None:
    written.write_text("config: {mlplatform:prerequisites: {keda: present, certManager: install, gpuOperator: absent}}")
    assert expected_prerequisites() == ["keda"]


@pytest.mark.parametrize("text", ["", "config: {}", "config: {mlplatform:prerequisites: keda}"])
def test_nothing_is_expected_when_the_settings_say_nothing_of_it(written: Path, text: str) -> None:
    """What is wrong with them is the program's to refuse."""
    written.write_text(text)
    assert expected_prerequisites() == []
