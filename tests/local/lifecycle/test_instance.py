"""Where an instance lives and which ports it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.lifecycle.instance import DEFAULT_API_PORT, Instance
from local.lifecycle.lock import BusyError, instance_lock


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("MLP_INSTANCE", "MLP_API_PORT", "MLP_GATEWAY_PORT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path))


def test_defaults_apply_when_nothing_is_set(tmp_path: Path) -> None:
    instance = Instance.from_environment()
    assert (instance.name, instance.api_port, instance.gateway_address) == (
        "local",
        DEFAULT_API_PORT,
        "127.0.0.1:8080",
    )
    assert instance.state_dir == tmp_path / "local"


def test_ports_stay_when_the_instance_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_GATEWAY_PORT", "18080")
    Instance.from_environment().create_files()
    monkeypatch.delenv("MLP_GATEWAY_PORT")
    assert Instance.from_environment().gateway_port == 18080


def test_passphrase_is_private_and_stays_when_files_are_created_twice() -> None:
    instance = Instance.from_environment()
    instance.create_files()
    first = instance.passphrase_file.read_text(encoding="utf-8")
    instance.create_files()
    assert instance.passphrase_file.read_text(encoding="utf-8") == first
    assert len(first) >= 32
    assert instance.passphrase_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("value", ["80", "65536", "http", "", "-1"])
def test_error_names_variable_and_range_when_a_port_is_wrong(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MLP_API_PORT", value)
    with pytest.raises(ValueError, match=r"MLP_API_PORT=.*1024 to 65535"):
        Instance.from_environment()


@pytest.mark.parametrize("value", ["Local", "1st", "a" * 21, "a_b", "ends-"])
def test_error_names_variable_when_the_instance_name_is_wrong(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MLP_INSTANCE", value)
    with pytest.raises(ValueError, match="MLP_INSTANCE="):
        Instance.from_environment()


def test_second_command_is_refused_when_one_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    with instance_lock(folder), pytest.raises(BusyError, match="local"), instance_lock(folder):
        pass


def test_lock_leaves_no_file_when_the_instance_is_gone(tmp_path: Path) -> None:
    with instance_lock(tmp_path / "state" / "local"):
        pass
    assert list(tmp_path.iterdir()) == []
