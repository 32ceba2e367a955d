"""Entry points of images, as far as they can be tried without the programs that they start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.paths import repo_root

_IMAGES = repo_root() / "images"


def _postgres(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(_IMAGES / "postgres" / "docker-entrypoint.sh"), *arguments],
        env={"PATH": os.environ["PATH"], "PGDATA": str(tmp_path / "18" / "docker"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_postgres_says_what_is_missing_when_it_has_no_password(tmp_path: Path) -> None:
    done = _postgres(tmp_path, "postgres")

    assert done.returncode == 1
    assert done.stderr == "docker-entrypoint.sh: POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD must be set\n"


@pytest.mark.parametrize("content", [None, ""])
def test_postgres_names_the_password_file_when_it_is_absent_or_empty(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    done = _postgres(tmp_path, "postgres", POSTGRES_PASSWORD_FILE=str(file))

    assert done.returncode == 1
    assert f"POSTGRES_PASSWORD_FILE={file}: no such file, or an empty one" in done.stderr
    assert not (tmp_path / "18" / "docker").exists()


def test_other_commands_run_as_they_are_when_given_to_postgres(tmp_path: Path) -> None:
    done = _postgres(tmp_path, "echo", "a b", "c")

    assert (done.returncode, done.stdout) == (0, "a b c\n")
    assert not (tmp_path / "18").exists()


@pytest.mark.parametrize("arguments", [["server", "/data"], ["minio", "server", "/data"]])
def test_minio_is_started_when_its_name_is_given_or_left_out(tmp_path: Path, arguments: list[str]) -> None:
    program = tmp_path / "minio"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", str(_IMAGES / "minio" / "docker-entrypoint.sh"), *arguments],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "server /data\n"
