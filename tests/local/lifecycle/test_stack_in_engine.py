"""What the real engine keeps of an instance's stack, whatever the person has exported and whatever was cut short."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping

import pytest

from local.lifecycle.stack import Stack
from ml.cli.connection import connect


def _secret(stack: Stack, environment: Mapping[str, str] | None = None) -> str:
    """Return the generated secret as the engine reads it in an environment; the stack's own and no other, if absent."""
    command = ["pulumi", "--cwd", str(stack.instance.project_dir), "config", "--json", "--show-secrets"]
    done = subprocess.run(
        [*command, "--stack", "local"],
        env=dict(environment or stack.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["mlplatform:masterSecret"]["value"])


def test_stack_is_read_with_its_own_passphrase_when_the_person_has_exported_another(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the person's own stack")
    monkeypatch.setenv("PULUMI_STACK", "of-the-person")
    stack.prepare({})
    assert len(_secret(stack)) == 64
    stack.set_config("readyTimeoutSeconds", "1")


def test_stack_is_read_through_its_connection_file_when_the_person_has_exported_another_passphrase(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.prepare({})
    monkeypatch.setenv("MLP_STATE_DIR", str(stack.instance.state_dir.parent))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the person's own stack")
    found = connect("local", None, os.environ, stack.instance.project_dir)
    assert _secret(stack, found.environment) == _secret(stack)
