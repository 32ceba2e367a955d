"""The bootstrap and the clients of a database against a real PostgreSQL that lets nobody in without TLS.

It is Debian's, whose version is older than the one that is deployed: the one from PyPI is built without TLS. Its
administrator is no superuser, as where a cloud runs the server.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components._database import AUTHORITY_FILE, Authority
from components.database_exporter import DatabaseExporter
from components.metadata_db_rds import QUIET_PARAMETERS
from components.tracking_server import TrackingServer
from ml.cli.verify.database import ROUND_TRIP
from ml.events.pool import DatabaseSettings, connection, open_pool
from ml.events.ports import StoreUnavailableError
from tests.support import pods
from tests.support.bootstrap import (
    MAKE_ADMINISTRATOR,
    Server,
    bootstrap,
    databases,
    postgres_server,
    run_script,
    wait_until_open,
)
from tests.support.catalogue import declare_one
from tests.support.catalogue_values import DATABASE
from tests.support.debian_package import unpacked
from tests.support.ports import free_port
from tests.support.postgres import open_folder

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
_VERSION = "15"
_NOBODY = 65534


@dataclass(frozen=True, kw_only=True)
class Encrypted:
    """A server whose certificate is for `localhost`, and the file with the authority that signed it."""

    server: Server
    authority: Path
    another: Path
    """The file with an authority that did not."""


def certificate(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a certificate for a host, or of an authority where it is its own issuer."""
    now = datetime.now(UTC)
    is_authority = subject == issuer
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=3))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        .sign(by, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def certificates(folder: Path) -> tuple[Path, Path]:
    """Write a server's certificate and key; return the files of its authority and of another."""
    owner = _NOBODY if os.geteuid() == 0 else os.geteuid()
    key, signing, foreign = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, content in (("server.key", private), ("server.pem", certificate("localhost", "ours", key, signing))):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
        os.chown(folder / name, owner, -1)
    for name, by in (("ours", signing), ("theirs", foreign)):
        (folder / f"{name}.pem").write_bytes(certificate(name, name, by, by))
    return folder / "ours.pem", folder / "theirs.pem"


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Encrypted]:
    programs, client, library = (
        unpacked(name) for name in (f"postgresql-{_VERSION}", f"postgresql-client-{_VERSION}", "libpq5")
    )
    binaries, tools = (folder / "usr/lib/postgresql" / _VERSION / "bin" for folder in (programs, client))
    (libraries,) = (library / "usr/lib").glob("*-linux-gnu")
    loaded = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    if subprocess.run([binaries / "postgres", "--version"], env=loaded, capture_output=True, check=False).returncode:
        pytest.skip("Debian's PostgreSQL needs libraries that are not installed")
    with open_folder() as folder:
        ours, theirs = certificates(folder)
        settings = {
            **QUIET_PARAMETERS,
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.pem"),
            "ssl_key_file": str(folder / "server.key"),
        }
        access = "hostssl all all all scram-sha-256\n"
        with postgres_server(
            folder,
            Path(f"{binaries}:{tools}"),
            user="rdsadmin",
            settings=settings,
            access=access,
            LD_LIBRARY_PATH=str(libraries),
        ) as server:
            demand = {"PGHOST": "localhost", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ours)}
            server = replace(server, environment={**server.environment, **demand})
            subprocess.run(
                ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
                env=server.environment,
                input=MAKE_ADMINISTRATOR,
                text=True,
                check=True,
            )
            server = replace(server, environment={**server.environment, "PGUSER": "postgres"})
            bootstrap("metadata_db_bootstrap.sh", server, databases(folder / "secrets"))
            yield Encrypted(server=server, authority=ours, another=theirs)


def with_variables(server: Server, **changed: str) -> Server:
    return replace(server, environment={**server.environment, **changed})


def test_bootstrap_says_so_when_another_authority_has_signed(encrypted: Encrypted, tmp_path: Path) -> None:
    server = with_variables(encrypted.server, PGSSLROOTCERT=str(encrypted.another))
    done = run_script("metadata_db_bootstrap.sh", server, databases(tmp_path))
    assert done.returncode != 0
    assert "certificate verify failed" in done.stderr


def test_bootstrap_says_so_when_the_certificate_is_for_another_name(encrypted: Encrypted, tmp_path: Path) -> None:
    done = run_script(
        "metadata_db_bootstrap.sh", with_variables(encrypted.server, PGHOST="127.0.0.1"), databases(tmp_path)
    )
    assert done.returncode != 0
    assert 'does not match host name "127.0.0.1"' in done.stderr


def test_nobody_gets_in_when_without_tls(encrypted: Encrypted) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(
            host="127.0.0.1",
            port=encrypted.server.port,
            user="mlflow",
            password="mlflow-word",
            dbname="mlflow",
            sslmode="disable",
        )


def pod_variables(encrypted: Encrypted, style: str, user: str) -> Mapping[str, str]:
    """Return the variables of a pod: those of the platform's own programs, or those of the tracking server."""
    names = {"own": ("NAME", "USER"), "mlflow": ("DBNAME", "USERNAME")}[style]
    told = {"HOST": "localhost", "PORT": str(encrypted.server.port), "PASSWORD": f"{user}-word"}
    variables = {f"DATABASE_{name}": value for name, value in {**told, **dict.fromkeys(names, user)}.items()}
    return {**variables, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(encrypted.authority)}


@pytest.mark.parametrize(("style", "user"), [("own", "events"), ("mlflow", "mlflow")])
def test_verify_writes_and_reads_a_row_by_tls_when_it_runs_in_a_pod(
    encrypted: Encrypted, style: str, user: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ROUND_TRIP, "a token"],
        env={"PATH": os.environ["PATH"], **pod_variables(encrypted, style, user)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    token, who, where, by = done.stdout.splitlines()
    assert (token, who, where) == ("a token", user, user)
    assert by.startswith("TLSv1")


async def _encrypted(wait_seconds: float) -> bool:
    settings = DatabaseSettings.from_environment()
    async with open_pool(settings, size=1, wait_seconds=wait_seconds) as pool, connection(pool) as lent:
        row = await (await lent.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).fetchone()
    return row == (True,)


def test_event_store_insists_on_the_certificate_when_its_variables_say_so(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pod_variables(encrypted, "own", "events").items():
        monkeypatch.setenv(name, value)
    assert asyncio.run(_encrypted(wait_seconds=20))
    monkeypatch.setenv("PGSSLROOTCERT", str(encrypted.another))
    with pytest.raises(StoreUnavailableError):
        asyncio.run(_encrypted(wait_seconds=2))


_CONNECT = "import os, sqlalchemy; sqlalchemy.create_engine(os.environ['MLFLOW_BACKEND_STORE_URI']).connect()"


def run_as_migration(
    encrypted: Encrypted, authority: Path, script: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the tracking server's migration as its pod does, or a script in its place."""
    graph = declare_one(TrackingServer, database=replace(DATABASE, authority=Authority(name="authorities")))
    container = pods.containers_of(graph.object("Job", "example-migration"))["migration"]
    told = {**pod_variables(encrypted, "mlflow", "mlflow"), "PGSSLROOTCERT": str(authority)}
    declared = pods.env_of(container)
    assert {name for name in declared if name.startswith("PGSSL")} == {"PGSSLMODE", "PGSSLROOTCERT"}
    uri = str(declared["MLFLOW_BACKEND_STORE_URI"])
    for name, value in told.items():
        uri = uri.replace(f"$({name})", value)
    command = ["-c", script] if script else container["command"][1:]
    return subprocess.run(
        [sys.executable, *command],
        env={
            "PATH": os.environ["PATH"],
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_BACKEND_STORE_URI": uri,
            **told,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_registry_is_migrated_only_on_the_server_of_the_right_authority_when_the_job_runs(encrypted: Encrypted) -> None:
    # MLflow itself would try again for two minutes.
    refused = run_as_migration(encrypted, encrypted.another, _CONNECT)
    assert refused.returncode != 0
    assert "certificate verify failed" in refused.stderr
    done = run_as_migration(encrypted, encrypted.authority)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(
        host="localhost",
        port=encrypted.server.port,
        user="mlflow",
        password="mlflow-word",
        dbname="mlflow",
        sslmode="verify-full",
        sslrootcert=str(encrypted.authority),
    ) as session:
        row = session.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None


@contextmanager
def exporter(encrypted: Encrypted, authority: Path, folder: Path) -> Generator[str]:
    """Run the exporter with the variables of its pod; yield where it answers."""
    graph = declare_one(DatabaseExporter, database=replace(DATABASE, authority=Authority(name="authorities")))
    container = pods.containers_of(graph.object("Deployment", "example"))["exporter"]
    uri = str(pods.env_of(container)["DATA_SOURCE_URI"]).replace(AUTHORITY_FILE, str(authority))
    place = {"DATABASE_HOST": "localhost", "DATABASE_PORT": str(encrypted.server.port), "DATABASE_NAME": "postgres"}
    for name, value in place.items():
        uri = uri.replace(f"$({name})", value)
    for name, value in (("username", "exporter"), ("password", "exporter-word")):
        (folder / name).write_text(value, encoding="utf-8")
    program = unpacked("prometheus-postgres-exporter") / "usr" / "bin"
    port = free_port()
    process = subprocess.Popen(
        [str(ROOT / "images/postgres-exporter/postgres_exporter"), f"--web.listen-address=127.0.0.1:{port}"],
        env={
            "PATH": f"{program}:{os.environ['PATH']}",
            "DATA_SOURCE_URI": uri,
            "DATA_SOURCE_USER_FILE": str(folder / "username"),
            "DATA_SOURCE_PASS_FILE": str(folder / "password"),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        process.wait(30)


def test_exporter_measures_only_the_server_of_the_right_authority_when_asked(
    encrypted: Encrypted, tmp_path: Path
) -> None:
    for authority, up in ((encrypted.authority, "1"), (encrypted.another, "0")):
        with exporter(encrypted, authority, tmp_path) as url:
            text = httpx.get(url, timeout=20, trust_env=False).raise_for_status().text
        assert f"\npg_up {up}\n" in text, authority
