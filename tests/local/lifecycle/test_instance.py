"""Where an instance lives and which ports it takes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from local.lifecycle.instance import DEFAULT_API_PORT, Instance, write_private
from local.lifecycle.lock import BusyError, instance_lock

_OF_ALL_PROGRAMS = ("XDG_CACHE_HOME", "XDG_STATE_HOME")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("MLP_INSTANCE", "MLP_API_PORT", "MLP_GATEWAY_PORT", "MLP_CACHE_DIR", *_OF_ALL_PROGRAMS):
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


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"MLP_API_PORT": "8080"}, r"MLP_API_PORT='8080': must differ .*MLP_GATEWAY_PORT"),
        ({"MLP_GATEWAY_PORT": "16443"}, r"MLP_GATEWAY_PORT='16443': must differ .*MLP_API_PORT"),
        ({"MLP_GATEWAY_PORT": "9000", "MLP_API_PORT": "9000"}, r"MLP_GATEWAY_PORT='9000': must differ"),
    ],
)
def test_error_names_variable_and_leaves_no_file_when_both_ports_are_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str], says: str
) -> None:
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=says):
        Instance.from_environment()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"api": 8080, "gateway": 8080}', '{"api": "x", "gateway": 1}'])
def test_error_names_the_file_when_the_ports_in_it_are_lost(tmp_path: Path, text: str) -> None:
    file = _lose_ports(tmp_path, text)
    with pytest.raises(ValueError, match="delete it, and name them in MLP_API_PORT and MLP_GATEWAY_PORT") as caught:
        Instance.from_environment()
    assert str(file) in str(caught.value)


def test_instance_can_be_ended_when_its_ports_are_lost_or_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _lose_ports(tmp_path, "")
    monkeypatch.setenv("MLP_API_PORT", "wrong")
    assert Instance.from_environment(to_end=True).state_dir == tmp_path / "local"


def test_ports_are_written_again_when_the_lost_ones_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _lose_ports(tmp_path, "")
    monkeypatch.setenv("MLP_API_PORT", "9000")
    monkeypatch.setenv("MLP_GATEWAY_PORT", "9001")
    Instance.from_environment().create_files()
    monkeypatch.delenv("MLP_API_PORT")
    monkeypatch.delenv("MLP_GATEWAY_PORT")
    assert (Instance.from_environment().api_port, Instance.from_environment().gateway_port) == (9000, 9001)


def test_ports_are_kept_when_writing_them_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    Instance.from_environment().create_files()
    monkeypatch.setenv("MLP_API_PORT", "9000")

    def cut_short(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as during:
        during.setattr(os, "fsync", cut_short)
        with pytest.raises(OSError, match="No space left"):
            Instance.from_environment().create_files()
    monkeypatch.delenv("MLP_API_PORT")
    assert Instance.from_environment().api_port == DEFAULT_API_PORT


def test_file_with_ports_is_left_alone_when_they_are_the_same(tmp_path: Path) -> None:
    Instance.from_environment().create_files()
    before = (tmp_path / "local" / "ports.json").stat()
    Instance.from_environment().create_files()
    after = (tmp_path / "local" / "ports.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("variable", ["MLP_STATE_DIR", "MLP_CACHE_DIR", *_OF_ALL_PROGRAMS])
@pytest.mark.parametrize("value", ["rel", "~/state", "/with:colon", "/with#hash", "/a\nb", "/c++"])
def test_error_names_variable_and_what_is_allowed_when_a_folder_is_wrong(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    if variable in _OF_ALL_PROGRAMS:
        monkeypatch.delenv("MLP_STATE_DIR")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}=.*: allowed is an absolute path of letters"):
        Instance.from_environment()


@pytest.mark.parametrize("variable", ["MLP_STATE_DIR", "MLP_CACHE_DIR"])
@pytest.mark.parametrize("value", ["rel", "/data/ml+x", "/run/ml"])
def test_instance_can_be_ended_when_its_folders_are_such_that_none_may_come_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    expected = tmp_path / value if variable == "MLP_STATE_DIR" else tmp_path
    assert Instance.from_environment(to_end=True).state_dir == expected / "local"


@pytest.mark.parametrize("variable", ["MLP_STATE_DIR", "MLP_CACHE_DIR"])
@pytest.mark.parametrize("value", ["/run", "/run/user/0", "/var/run/mlplatform", "/tmp/../var/log/mlplatform"])
def test_error_names_variable_when_the_node_cannot_see_the_folder(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}=.*must not lie below /run or /var/log"):
        Instance.from_environment()


def test_folder_of_the_user_is_taken_when_the_variable_of_all_programs_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLP_STATE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert Instance.from_environment().state_dir == tmp_path / ".local" / "state" / "mlplatform" / "local"


@pytest.mark.parametrize("value", ["Local", "1st", "a" * 21, "a_b", "ends-"])
def test_error_names_variable_when_the_instance_name_is_wrong(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MLP_INSTANCE", value)
    with pytest.raises(ValueError, match="MLP_INSTANCE="):
        Instance.from_environment()


def _lose_ports(folder: Path, text: str) -> Path:
    Instance.from_environment().create_files()
    file = folder / "local" / "ports.json"
    write_private(file, text)
    return file


def test_second_command_is_refused_when_one_is_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    with instance_lock(folder), pytest.raises(BusyError, match="local"), instance_lock(folder):
        pass


def test_error_is_the_body_s_when_the_folder_of_the_lock_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is a mount point."""

    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr(Path, "rmdir", busy)
    with pytest.raises(ValueError, match="the real one"), instance_lock(tmp_path / "local"):
        raise ValueError("the real one")


def test_lock_is_taken_when_another_instance_removes_the_folder_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, opened = tmp_path / "state", os.open
    removals = iter([base])

    def open_late(path: Path, flags: int, mode: int) -> int:
        for folder in removals:
            folder.rmdir()
            break
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", open_late)
    with instance_lock(base / "local"):
        assert list(removals) == []
        assert [path.name for path in base.iterdir()] == [".local.lock"]


def test_lock_leaves_no_file_when_the_instance_is_gone(tmp_path: Path) -> None:
    with instance_lock(tmp_path / "state" / "local"):
        pass
    assert list(tmp_path.iterdir()) == []
