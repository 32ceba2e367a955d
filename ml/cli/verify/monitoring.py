"""Asks Prometheus what it measures."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import quote

from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import PROMETHEUS_PORT, PROMETHEUS_SERVICE

_QUERY: Final = "max by (job) (up)"
_JOBS: Final = ("api", "controller", "gateway", "model-server", "object-store", "tracking-server", "version-sync")
_STORE: Final = "object-store"


async def every_part_is_measured(kubectl: Kubectl, outputs: StackOutputs) -> str:
    """See that of every kind of target at least one answers."""
    async with kubectl.forward(outputs.namespace, f"service/{PROMETHEUS_SERVICE}", PROMETHEUS_PORT) as port:
        endpoint = Endpoint(f"127.0.0.1:{port}", "localhost", "Prometheus")
        answer = await endpoint.ask_well("GET", f"/api/v1/query?query={quote(_QUERY)}")
    result = cast("list[dict[str, Any]]", answer.json()["data"]["result"])
    measured = {str(entry["metric"].get("job")) for entry in result if float(entry["value"][1]) == 1}
    expected = [job for job in _JOBS if job != _STORE or outputs.object_store is not None]
    if missing := [job for job in expected if job not in measured]:
        raise UserError(
            f"nothing is measured of {', '.join(missing)}",
            f"see {PROMETHEUS_SERVICE}'s page /targets: "
            f"kubectl port-forward -n {outputs.namespace} service/{PROMETHEUS_SERVICE} {PROMETHEUS_PORT}",
        )
    return f"{len(expected)} kinds of targets answer"
