from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.toolchain.catalog import DebianTool
from local.toolchain.debian import is_installed, no_service_starts


def _answer(policy: Path) -> int:
    return subprocess.run([str(policy)], check=False).returncode


def test_services_may_not_start_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with no_service_starts(policy):
        assert _answer(policy) == 101
    assert list(tmp_path.iterdir()) == []


def test_policy_comes_back_when_there_was_one(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)

    def fail() -> None:
        with no_service_starts(policy):
            assert _answer(policy) == 101
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _answer(policy) == 0
    assert list(tmp_path.iterdir()) == [policy]


def test_first_policy_comes_back_when_an_earlier_run_was_killed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("ours, left by a killed run")
    policy.with_name("policy-rc.d.mlplatform-saved").write_text("the machine's")
    with no_service_starts(policy):
        pass
    assert policy.read_text() == "the machine's"
    assert list(tmp_path.iterdir()) == [policy]


def test_package_is_installed_when_all_its_binaries_are_there(tmp_path: Path) -> None:
    tool = DebianTool("thing", {"a": str(tmp_path / "a"), "b": str(tmp_path / "b")})
    (tmp_path / "a").touch()
    assert not is_installed(tool)
    (tmp_path / "b").touch()
    assert is_installed(tool)
