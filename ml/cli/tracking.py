"""The way to the tracking server, also where nobody may open its page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs

MLFLOW_API: Final = "/api/2.0/mlflow"


@asynccontextmanager
async def tracking_server(kubectl: Kubectl, outputs: StackOutputs) -> AsyncGenerator[Endpoint]:
    """Give MLflow's address while the block runs.

    Raises:
        UserError: the cluster does not connect to it.
    """
    server = outputs.tracking_server
    async with kubectl.forward(outputs.namespace, f"service/{server.service}", server.port) as port:
        # The server refuses host names that it does not know, a random local port among them.
        yield Endpoint(f"127.0.0.1:{port}", f"{server.service}:{server.port}", "MLflow")
