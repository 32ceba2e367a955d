"""The scripts that set up databases and buckets, as their Jobs run them, and PostgreSQL servers to run them against."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components._workload import script
from tests.support.ports import free_port

ADMIN_PASSWORD: Final = "a0" * 32
_NOBODY: Final = 65534
_READY_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server and how its administrator's client finds it."""

    port: int
    environment: Mapping[str, str]


def write_consumer(folder: Path, name: str, **files: str) -> None:
    """Write what the volume of a consumer's Secret holds."""
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for key, value in files.items():
        (target / key.replace("_", "-")).write_text(value, encoding="utf-8")


def databases(folder: Path) -> Path:
    """Write the Secrets of two consumers of PostgreSQL and of the observer."""
    for name in ("mlflow", "events"):
        write_consumer(folder / "consumers", name, username=name, dbname=name, password=f"{name}-word")
    write_consumer(folder, "observer", username="exporter", dbname="postgres", password="exporter-word")
    return folder


def run_script(name: str, server: Server, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with the Secrets of a folder."""
    return subprocess.run(
        ["sh", "-c", script(name)],
        env={
            **server.environment,
            "CONSUMERS_DIR": str(folder / "consumers"),
            "OBSERVER_DIR": str(folder / "observer"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def bootstrap(name: str, server: Server, folder: Path) -> None:
    """Run a script, which must succeed."""
    done = run_script(name, server, folder)
    assert done.returncode == 0, done.stdout + done.stderr


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a server has opened its port."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not open its port"
            time.sleep(0.1)
        else:
            return


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and wait for it."""
    process.terminate()
    process.wait(timeout=30)


@contextmanager
def postgres_server(
    folder: Path, binaries: Path, *, user: str, settings: Mapping[str, str], access: str | None = None, **more: str
) -> Generator[Server]:
    """Run PostgreSQL from a folder of its programs.

    Args:
        folder: where its data go; other users must be able to enter it.
        binaries: where its programs are.
        user: the superuser.
        settings: of the server, by name.
        access: content of pg_hba.conf in place of its own.
        more: variables of the server and its clients.
    """
    # PostgreSQL refuses to run as root.
    owner = _NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, owner, -1)
    password = folder / "password"
    password.write_text(ADMIN_PASSWORD, encoding="utf-8")
    password.chmod(0o644)
    port, data = free_port(), folder / "data"
    path = {"PATH": f"{binaries}:{os.environ['PATH']}", "LANG": "C.UTF-8", **more}
    initialise = ["initdb", f"--pgdata={data}", f"--username={user}", f"--pwfile={password}", "--auth=scram-sha-256"]
    subprocess.run([*initialise, "--no-sync"], env=path, user=owner, cwd=folder, check=True, capture_output=True)
    if access is not None:
        (data / "pg_hba.conf").write_text(access, encoding="utf-8")
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["postgres", "-D", str(data), "-p", str(port), "-k", str(folder), *options],
            env=path,
            user=owner,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until_open(port, process)
            _wait_until_ready(port, path)
            client = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGDATABASE": "postgres"}
            environment = {**path, **client, "PGPASSWORD": ADMIN_PASSWORD, "LOG": str(folder / "log")}
            yield Server(port=port, environment=environment)
        finally:
            stop(process)


def _wait_until_ready(port: int, environment: Mapping[str, str]) -> None:
    """Return when PostgreSQL, which opens its port before it is ready, lets clients in."""
    deadline = time.monotonic() + _READY_SECONDS
    while subprocess.run(
        ["pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"], env=environment, check=False
    ).returncode:
        assert time.monotonic() < deadline, "the server does not become ready"
        time.sleep(0.1)


MAKE_ADMINISTRATOR: Final = f"""
CREATE ROLE postgres LOGIN CREATEROLE CREATEDB PASSWORD '{ADMIN_PASSWORD}';
GRANT pg_monitor TO postgres WITH ADMIN OPTION;
ALTER DATABASE postgres OWNER TO postgres;
ALTER DATABASE template1 OWNER TO postgres;
"""
"""Makes an administrator who is no superuser, with those of a cloud's rights that the bootstrap needs."""
