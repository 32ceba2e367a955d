"""Asks the API for the experiments, as an application does."""

from __future__ import annotations

from http import HTTPStatus

from ml.cli.errors import UserError
from ml.cli.http import gateway_endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import EXPERIMENTS_PATH


async def list_experiments(kubectl: Kubectl, outputs: StackOutputs) -> str:
    """List the experiments with the token for reading, and be refused without one."""
    tokens = await kubectl.secret(outputs.namespace, outputs.api_tokens)
    endpoint = gateway_endpoint(outputs, "api")
    await endpoint.ask_well("GET", EXPERIMENTS_PATH, headers={"Authorization": f"Bearer {tokens['read']}"})
    refused = await endpoint.ask("GET", EXPERIMENTS_PATH)
    if refused.status_code != HTTPStatus.UNAUTHORIZED:
        raise UserError(f"without a token the API answered {refused.status_code}, not 401", "see `mlp logs api`")
    return f"GET http://{outputs.hosts['api']}{EXPERIMENTS_PATH}"
