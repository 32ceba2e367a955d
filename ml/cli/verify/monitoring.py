"""Asks Prometheus what it measures."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import quote

from ml.cli.errors import UserError
from ml.cli.http import Endpoint
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import StackOutputs
from ml.contracts import MEASURED_JOBS, PROMETHEUS_PORT, PROMETHEUS_SERVICE

_QUERY: Final = '{__name__=~"up|pg_up"}'
"""The exporter answers for PostgreSQL even while that is away, and says so in a series of its own."""


async def every_part_is_measured(kubectl: Kubectl, outputs: StackOutputs) -> str:
    """See that there are targets of every kind, and that each of them answers."""
    async with kubectl.forward(outputs.namespace, f"service/{PROMETHEUS_SERVICE}", PROMETHEUS_PORT) as port:
        endpoint = Endpoint(f"127.0.0.1:{port}", "localhost", "Prometheus")
        answer = await endpoint.ask_well("GET", f"/api/v1/query?query={quote(_QUERY)}")
    result = cast("list[dict[str, Any]]", answer.json()["data"]["result"])
    targets = [(cast("dict[str, str]", entry["metric"]), float(entry["value"][1])) for entry in result]
    known = {str(labels.get("job")) for labels, _ in targets}
    missing = [job for job in MEASURED_JOBS if job not in known]
    down = sorted({f"{labels.get('job')} ({labels.get('instance')})" for labels, value in targets if value != 1})
    problems = [f"there is no target of {', '.join(missing)}"] if missing else []
    problems += [f"nothing is measured of {', '.join(down)}"] if down else []
    if problems:
        raise UserError(
            "; ".join(problems),
            f"see {PROMETHEUS_SERVICE}'s page /targets: "
            f"kubectl port-forward -n {outputs.namespace} service/{PROMETHEUS_SERVICE} {PROMETHEUS_PORT}",
        )
    return f"{len(targets)} targets of {len(MEASURED_JOBS)} kinds answer"
