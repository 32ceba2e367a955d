"""What the real engine keeps of an instance's stack, whatever the person has exported and whatever was cut short."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.lifecycle.stack import Stack, StackError
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


def test_secret_is_the_same_when_the_settings_were_cut_short(deployed: Stack) -> None:
    before = _secret(deployed)
    for left in (
        "",
        "encryptionsalt: v1:x",
        "config:\n  mlplatform:masterSecret: {secure",
        "a word",
        "encryptionsalt: v1:x\nconfig:\n  mlpl",
    ):
        _settings(deployed).write_text(left)
        deployed.prepare({})
        assert _secret(deployed) == before, left


def test_secret_is_the_same_when_it_was_cut_short_itself(deployed: Stack) -> None:
    before, text = _secret(deployed), _settings(deployed).read_text()
    sealed = re.findall(r"secure: (v1:\S+)", text)[0]
    for left in (sealed[:-4], sealed[: len(sealed) // 2], "v1:"):
        _settings(deployed).write_text(text.replace(sealed, left))
        deployed.prepare({})
        assert _secret(deployed) == before, left


def test_way_out_is_named_when_an_older_version_took_the_passphrase_of_the_person(deployed: Stack) -> None:
    theirs = deployed.instance.passphrase_file.read_text()
    deployed.instance.passphrase_file.write_text("another one")
    with pytest.raises(StackError, match=r"sealed with another passphrase.*PULUMI_CONFIG_PASSPHRASE") as caught:
        deployed.prepare({})
    assert str(deployed.instance.passphrase_file) in str(caught.value)
    deployed.instance.passphrase_file.write_text(theirs)
    deployed.prepare({})


def test_no_other_secret_is_made_when_no_update_has_kept_it(deployed: Stack) -> None:
    _settings(deployed).unlink()
    shutil.rmtree(deployed.instance.state_dir / "pulumi-state" / ".pulumi" / "history")
    with pytest.raises(
        StackError, match=r"(?s)has lost mlplatform:masterSecret.*put a copy of the file back.*no previous"
    ) as caught:
        deployed.prepare({})
    assert str(_settings(deployed)) in str(caught.value)


def test_secret_is_made_when_the_first_start_was_cut_short_before(stack: Stack) -> None:
    stack.prepare({})
    _settings(stack).write_text("")
    stack.prepare({})
    assert len(_secret(stack)) == 64


def test_settings_are_left_alone_when_they_are_the_same(stack: Stack) -> None:
    stack.prepare({})
    stack.prepare({})  # the engine has written some words in another way when it added the secret
    before = _settings(stack).stat()
    stack.prepare({})
    after = _settings(stack).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    stack.prepare({"ml": "localhost/ml:2"})
    assert "localhost/ml:2" in _settings(stack).read_text()


def _settings(stack: Stack) -> Path:
    return stack.instance.project_dir / "Pulumi.local.yaml"
