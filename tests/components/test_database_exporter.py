"""The exporter of the relational store: its pod, and the program of the local image against a real PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from components.database_exporter import DatabaseExporter
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.debian_package import unpacked
from tests.support.postgres import PostgresServer
from tests.support.recording_monitor import Graph

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 30


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(DatabaseExporter, instance="database-exporter")


def test_exporter_reads_its_password_from_a_file_when_it_starts(graph: Graph) -> None:
    deployment = graph.object("Deployment", "database-exporter")
    environment = pods.env_of(pods.containers_of(deployment)["exporter"])
    assert environment["DATA_SOURCE_PASS_FILE"] == "/run/secrets/database/password"
    assert not any("PASS" in name and not name.endswith("_FILE") for name in environment)
    (volume,) = pods.template_of(deployment)["spec"]["volumes"]
    assert volume["secret"]["secretName"] == "db-secret"


def test_exporter_may_reach_the_database_and_nothing_else_when_traffic_is_denied(graph: Graph) -> None:
    labels = pods.template_of(graph.object("Deployment", "database-exporter"))["metadata"]["labels"]
    assert [label for label in labels if "access-" in label] == ["mlplatform.dev/access-metadata-db"]
    assert not graph.of_kind("Service"), "Prometheus finds it by a Service of its own"


def test_pod_is_replaced_when_the_password_changes(graph: Graph) -> None:
    annotations = pods.template_of(graph.object("Deployment", "database-exporter"))["metadata"]["annotations"]
    assert annotations == {"mlplatform.dev/config": "db1"}


@dataclass(frozen=True)
class Measured:
    """A server of its own, which may be stopped, and where its exporter answers."""

    server: PostgresServer
    url: str

    def figures(self) -> dict[str, str]:
        text = httpx.get(f"{self.url}/metrics", timeout=20, trust_env=False).raise_for_status().text
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Measured]:
    """The program of the local image as the observer of a real server."""
    program = unpacked("prometheus-postgres-exporter") / "usr" / "bin"
    folder = tmp_path_factory.mktemp("exporter")
    (folder / "username").write_text("observer", encoding="utf-8")
    (folder / "password").write_text("observers-word", encoding="utf-8")
    (folder / "server").mkdir()
    server = PostgresServer(folder / "server")
    server.initialise()
    server.start()
    with server.connect("postgres") as administrator:
        administrator.execute("CREATE ROLE observer LOGIN PASSWORD 'observers-word' IN ROLE pg_monitor")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(ROOT / "images/postgres-exporter/postgres_exporter"), f"--web.listen-address=127.0.0.1:{port}"],
            env={
                "PATH": f"{program}:{os.environ['PATH']}",
                "DATA_SOURCE_URI": f"127.0.0.1:{server.port}/postgres?sslmode=disable",
                "DATA_SOURCE_USER_FILE": str(folder / "username"),
                "DATA_SOURCE_PASS_FILE": str(folder / "password"),
            },
            stderr=log,
        )
    try:
        yield Measured(server, _when_open(f"http://127.0.0.1:{port}", folder / "log"))
    finally:
        process.terminate()
        process.wait()
        server.stop()


def _when_open(url: str, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/", timeout=2, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        else:
            return url


@pytest.mark.slow
def test_statistics_of_all_databases_are_told_when_prometheus_asks(measured: Measured) -> None:
    database = measured.server.new_database().database
    figures = measured.figures()
    assert (figures["pg_up"], figures["pg_exporter_last_scrape_error"]) == ("1", "0")
    collectors = {name: value for name, value in figures.items() if name.startswith("pg_scrape_collector_success")}
    assert set(collectors.values()) == {"1"}
    assert [name for name in figures if name.startswith("pg_database_size_bytes{") and f'"{database}"' in name]
    assert "ERROR" not in (measured.server.folder / "log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_exporter_says_so_when_the_database_is_away(measured: Measured) -> None:
    measured.server.stop()
    try:
        assert measured.figures()["pg_up"] == "0"
    finally:
        measured.server.start()
    assert measured.figures()["pg_up"] == "1"
