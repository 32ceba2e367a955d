"""The database of pipelines: one MySQL server with a database and an account for each of its two users.

MySQL and not the platform's PostgreSQL, because Kubeflow Pipelines 2.17 supports nothing else in production: its
metadata store can fail runs on PostgreSQL. Leaves out backups and replicas; artifacts are in the object store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components._pipelines.site import DATABASE, DATABASE_PORT, Part, Site
from components._stateful import claim, stateful_set
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    env,
    exec_probe,
    pod_template,
    scratch_volume,
    script,
    secret_volume,
)

API_USER: Final = "pipelines"
METADATA_USER: Final = "metadata"
DATABASES: Final[Mapping[str, str]] = {API_USER: "mlpipeline", METADATA_USER: "metadb"}
"""Each account's database; it may use no other."""

_ROOT: Final = "root"
_UID: Final = 999  # the user of the official image; the volume belongs to it
_VOLUME_DIR: Final = "/var/lib/mysql"
_SOCKET_DIR: Final = "/var/run/mysqld"
_SOCKET: Final = f"{_SOCKET_DIR}/mysqld.sock"
_ACCOUNTS_DIR: Final = "/run/secrets/accounts"
_ACCOUNTS_KEY: Final = "accounts.sql"
# The metadata store knows only the older password scheme, which has to be asked for.
_SCHEME: Final = "mysql_native_password"
_OPTIONS: Final = (
    "--mysql-native-password=ON",
    f"--authentication-policy={_SCHEME}",
    "--skip-name-resolve",
    "--mysqlx=OFF",
    # There are no replicas that could read it.
    "--skip-log-bin",
    f"--socket={_SOCKET}",
    f"--pid-file={_SOCKET_DIR}/mysqld.pid",
    f"--tmpdir={TMP_DIR}",
    "--secure-file-priv=NULL",
)


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """What the database server needs to know."""

    image: str
    storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    resources: Resources
    protect: bool
    """Whether the data outlives a deletion of the component, and Pulumi refuses to delete it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """How a user of the server logs in."""

    service: pulumi.Output[str]
    database: str
    user: str
    password: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    """Changes when the password does."""


def declare_database(site: Site, args: DatabaseArgs) -> dict[str, Account]:
    """Declare the server; return each user's account."""
    part = site.part(DATABASE, args.image)
    service = site.service(part, DATABASE, {"tcp-mysql": DATABASE_PORT})
    accounts = {
        user: Account(
            service=service,
            database=database,
            user=user,
            password=site.secrets.password(_purpose(site, user)),
            fingerprint=site.secrets.fingerprint(_purpose(site, user)),
        )
        for user, database in DATABASES.items()
    }
    _declare_server(site, part, args, _declare_secret(site, part, accounts))
    site.offer(part, [DATABASE_PORT])
    return accounts


def _purpose(site: Site, user: str) -> str:
    return site.purpose(f"{DATABASE}/{user}")


def _declare_secret(site: Site, part: Part, accounts: Mapping[str, Account]) -> pulumi.Output[str]:
    root = site.secrets.password(_purpose(site, _ROOT))
    users = list(accounts)
    statements = pulumi.Output.all(root, *[accounts[user].password for user in users]).apply(
        lambda found: account_statements(str(found[0]), dict(zip(users, map(str, found[1:]), strict=True)))
    )
    return site.secret(part, f"{DATABASE}-accounts", {"root-password": root, _ACCOUNTS_KEY: statements})


def account_statements(root_password: str, passwords: Mapping[str, str]) -> str:
    """Return what gives every account its password, database and rights, whatever was there before.

    Passwords hold hexadecimal digits only, so they need no quoting. The administrator can log in through the socket
    alone: from inside the pod.
    """
    lines = [f"ALTER USER '{_ROOT}'@'localhost' IDENTIFIED WITH {_SCHEME} BY '{root_password}';"]
    for user, password in passwords.items():
        account, database = f"'{user}'@'%'", DATABASES[user]
        lines += [
            f"CREATE DATABASE IF NOT EXISTS {database};",
            f"CREATE USER IF NOT EXISTS {account};",
            f"ALTER USER {account} IDENTIFIED WITH {_SCHEME} BY '{password}';",
            f"GRANT ALL PRIVILEGES ON {database}.* TO {account};",
        ]
    return "\n".join(lines) + "\n"


def _declare_server(site: Site, part: Part, args: DatabaseArgs, secret: pulumi.Output[str]) -> None:
    # It answers also to somebody whom it refuses: that it is there is what is asked.
    alive = ["mysqladmin", "--no-defaults", f"--socket={_SOCKET}", "ping"]
    server = container(
        "server",
        args.image,
        args.resources,
        command=["sh", "-c", script("pipeline_database_start.sh")],
        env=[
            env("VOLUME_DIR", _VOLUME_DIR),
            env("ACCOUNTS_FILE", f"{_ACCOUNTS_DIR}/{_ACCOUNTS_KEY}"),
            env("OPTIONS", " ".join(_OPTIONS)),
        ],
        ports={"tcp-mysql": DATABASE_PORT},
        mounts={_VOLUME_DIR: "data", _SOCKET_DIR: "socket", TMP_DIR: "tmp"},
        read_only_mounts={_ACCOUNTS_DIR: "accounts"},
        startup=exec_probe(alive, period_seconds=2, failures=150),
        readiness=exec_probe(alive, period_seconds=5),
        liveness=exec_probe(alive, period_seconds=10, failures=6),
    )
    users = [_ROOT, *DATABASES]
    template = pod_template(
        [server],
        labels=part.labels,
        # The accounts are set at every start.
        annotations={CONFIG_ANNOTATION: site.secrets.fingerprint(*[_purpose(site, user) for user in users])},
        uid=_UID,
        volumes=[scratch_volume("socket", 16), scratch_volume("tmp", 512), secret_volume("accounts", secret)],
        # It writes everything to disk before it stops.
        grace_seconds=60,
    )
    stateful_set(
        site.component,
        f"{site.name}-{DATABASE}",
        metadata=site.metadata(part, DATABASE),
        service=DATABASE,
        selector=part.selector,
        template=template,
        claims=[claim("data", args.storage_gib, args.storage_class, part.labels)],
        protect=args.protect,
    )
