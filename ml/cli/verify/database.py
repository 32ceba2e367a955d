"""Uses PostgreSQL as one of its consumers does."""

from __future__ import annotations

from typing import Final

import psycopg

from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs

_CONNECT_TIMEOUT_SECONDS: Final = 8


async def write_and_read_row(kubectl: Kubectl, outputs: StackOutputs, consumer: str, token: str) -> str:
    """Commit a row to a temporary table and read it back.

    The table goes with the connection, however that ends. Its entry in the catalogue is logged like any other
    write, so a full disk or a read-only server fails here too.
    """
    database = outputs.metadata_db
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
        raise UserError(f"wrote {token!r} and read {row!r}", f"see `mlp logs {database.service}`")
    return f"as {secret['username']} in {secret['dbname']}"
