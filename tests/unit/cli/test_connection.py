from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml.cli.connection import connect
from ml.cli.errors import UserError


def write(folder: Path, text: str, instance: str = "local") -> Path:
    file = folder / instance / "mlp.json"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


def content(**environment: str) -> str:
    return json.dumps({"stack": "local", "project_dir": "/project", "environment": environment})


def test_file_s_environment_wins_and_its_path_comes_first_when_connecting(tmp_path: Path) -> None:
    write(tmp_path, content(PATH="/tools", KUBECONFIG="/k"))
    found = connect("local", None, {"MLP_STATE_DIR": str(tmp_path), "PATH": "/bin", "KUBECONFIG": "/mine"}, tmp_path)
    assert found.stack == "local"
    assert found.project_dir == Path("/project")
    assert found.environment["PATH"] == "/tools:/bin"
    assert found.environment["KUBECONFIG"] == "/k"


def test_engine_s_own_variables_are_left_out_when_the_stack_is_the_embedded_one(tmp_path: Path) -> None:
    write(tmp_path, content(PULUMI_CONFIG_PASSPHRASE_FILE="/passphrase"))
    mine = {"PULUMI_CONFIG_PASSPHRASE": "mine", "PULUMI_STACK": "mine", "OTHER": "kept"}
    environment = {"MLP_STATE_DIR": str(tmp_path), **mine}
    expected = {"MLP_STATE_DIR": str(tmp_path), "OTHER": "kept", "PULUMI_CONFIG_PASSPHRASE_FILE": "/passphrase"}
    assert connect("local", None, environment, tmp_path).environment == expected
    (tmp_path / "Pulumi.yaml").touch()
    assert connect("dev", None, environment, tmp_path).environment == environment


def test_another_instance_is_found_when_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, content(KUBECONFIG="/other"), instance="other")
    environment = {"MLP_STATE_DIR": str(tmp_path), "MLP_INSTANCE": "other"}
    assert connect("local", None, environment, tmp_path).environment["KUBECONFIG"] == "/other"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_STATE_HOME": "{}"}, "mlplatform/local"),
        ({"HOME": "{}"}, ".local/state/mlplatform/local"),
    ],
)
def test_state_folder_is_the_user_s_when_none_is_named(
    tmp_path: Path, environment: dict[str, str], folder: str
) -> None:
    file = tmp_path / folder / "mlp.json"
    file.parent.mkdir(parents=True)
    file.write_text(content(KUBECONFIG="/k"), encoding="utf-8")
    filled = {key: value.format(tmp_path) for key, value in environment.items()}
    assert connect("local", None, filled, tmp_path).environment["KUBECONFIG"] == "/k"


def test_error_says_make_up_when_there_is_no_platform(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no platform `local` found") as caught:
        connect("local", None, {"MLP_STATE_DIR": str(tmp_path)}, tmp_path)
    assert caught.value.remedy == "run `make up`"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"stack": "local", "environment": []}',
        '{"stack": "local", "environment": 5}',
        '{"environment": {}}',
        '{"stack": "local", "project_dir": 5, "environment": {}}',
    ],
)
def test_error_names_the_file_when_it_is_damaged(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UserError, match="is damaged") as caught:
        connect("local", None, {"MLP_STATE_DIR": str(tmp_path)}, tmp_path)
    assert str(file) in caught.value.what


def test_error_names_the_variable_when_its_value_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, '{"stack": "local", "project_dir": "/x", "environment": {"A": "a", "B": 5}}')
    with pytest.raises(UserError, match=r"environment\.B=5: allowed is a text"):
        connect("local", None, {"MLP_STATE_DIR": str(tmp_path)}, tmp_path)


def test_project_is_found_upwards_when_the_stack_is_not_local(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = connect("dev", "my-context", {"KUBECONFIG": "/mine"}, below)
    assert found.project_dir == tmp_path
    assert found.context == "my-context"
    assert found.environment == {"KUBECONFIG": "/mine"}
