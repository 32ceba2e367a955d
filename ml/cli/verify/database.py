"""Uses PostgreSQL as one of its consumers does: from here where it is a pod, in a consumer's pod where it is none."""

from __future__ import annotations

from typing import Final

import psycopg

from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import API_SERVICE

_CONNECT_TIMEOUT_SECONDS: Final = 8
_NEVER_ASKED_BY: Final = "no pod is known that uses it, and it answers to pods alone"
ROUND_TRIP: Final = """
import os, sys
try:
    import psycopg as driver
except ModuleNotFoundError:
    import psycopg2 as driver
def told(*names):
    return next(value for name in names if (value := os.environ.get("DATABASE_" + name)))
connection = driver.connect(
    host=told("HOST"), port=told("PORT"), dbname=told("NAME", "DBNAME"), user=told("USER", "USERNAME"),
    password=told("PASSWORD"), connect_timeout=8, application_name="mlp verify",
)
cursor = connection.cursor()
cursor.execute("CREATE TEMPORARY TABLE mlp_verify (token text NOT NULL)")
cursor.execute("INSERT INTO mlp_verify (token) VALUES (%s)", [sys.argv[1]])
connection.commit()
cursor.execute("SELECT token, current_user, current_database() FROM mlp_verify")
token, user, database = cursor.fetchone()
cursor.execute("SELECT coalesce(version, 'no TLS') FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
print(token, user, database, *cursor.fetchone(), sep="\\n")
connection.close()
"""
"""Runs in a consumer's pod, with that pod's own variables; prints what it read back, who it was, where, and by what."""


async def write_and_read_row(kubectl: Kubectl, outputs: StackOutputs, consumer: str, token: str) -> str:
    """Commit a row to a temporary table and read it back.

    The table goes with the connection, however that ends. Its entry in the catalogue is logged like any other
    write, so a full disk or a read-only server fails here too.
    """
    database = outputs.metadata_db
    if not database.service:
        return await _in_a_pod(kubectl, outputs, consumer, token)
    secret = await kubectl.secret(outputs.namespace, database.consumers[consumer])
    async with (
        kubectl.forward(outputs.namespace, f"service/{database.service}", database.port) as port,
        await psycopg.AsyncConnection.connect(
            host="127.0.0.1",
            port=port,
            dbname=secret["dbname"],
            user=secret["username"],
            password=secret["password"],
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            application_name="mlp verify",
        ) as connection,
    ):
        await connection.execute("CREATE TEMPORARY TABLE mlp_verify (token text NOT NULL)")
        await connection.execute("INSERT INTO mlp_verify (token) VALUES (%s)", [token])
        await connection.commit()
        row = await (await connection.execute("SELECT token FROM mlp_verify")).fetchone()
    if row != (token,):
        raise UserError(f"wrote {token!r} and read {row!r}", "see what the server's log says")
    return f"as {secret['username']} in {secret['dbname']}"


async def _in_a_pod(kubectl: Kubectl, outputs: StackOutputs, consumer: str, token: str) -> str:
    pods = {"mlflow": outputs.tracking_server.service, "events": API_SERVICE}
    if consumer not in pods:
        raise UserError(f"{consumer} cannot be checked: {_NEVER_ASKED_BY}", "ask PostgreSQL in a pod of your own")
    pod = f"deployment/{pods[consumer]}"
    told = await kubectl.run("exec", "--namespace", outputs.namespace, pod, "--", "python3", "-c", ROUND_TRIP, token)
    found, *rest = told.splitlines() or [""]
    if found != token or len(rest) != 3:
        raise UserError(f"wrote {token!r} and read {found!r} in {pod}", f"see `mlp logs {pods[consumer]}`")
    user, database, encryption = rest
    return f"as {user} in {database}, by {encryption}, from {pod}"
