"""Every series that programs of this repository tell of, with its labels: read from what their `/metrics` print."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
from prometheus_client import generate_latest

from ml.api.metrics import Metrics
from ml.controller.metrics import ControllerMetrics
from ml.serving.sync_status import SlotStatus, metrics_page
from ml.workspaces.proxy import WorkspaceProxy

_SAMPLE: Final = re.compile(r"([a-z_:]+)(?:\{(.*)\})? \S+")
_LABEL: Final = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')
_DECLARATION: Final = re.compile(r"\b(Counter|Gauge|Histogram|Summary|Info|Enum|\w+MetricFamily)\(\s*\n?\s*f?\"")
_FAMILY: Final = re.compile(r"# TYPE (\S+) ")
DECLARING: Final = ("ml/api/metrics.py", "ml/controller/metrics.py", "ml/workspaces/proxy.py")
"""What is asked here; whoever declares a metric elsewhere adds it."""


def declaring(root: Path) -> list[str]:
    """Return the modules of `ml` that declare metrics."""
    return sorted(
        str(file.relative_to(root))
        for file in (root / "ml").rglob("*.py")
        if "prometheus_client" in (text := file.read_text(encoding="utf-8")) and _DECLARATION.search(text)
    )


def labels_by_series() -> Mapping[str, frozenset[str]]:
    """Return the names of all samples, each with the names of its labels.

    Raises:
        AssertionError: a metric has no sample yet, so that its labels are not seen.
    """
    pages = (_of_api(), _of_controller(), _of_team_registry(), metrics_page(SlotStatus(model="m", alias="champion")))
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for page in pages:
        samples = {match[1]: match[2] or "" for line in page.splitlines() if (match := _SAMPLE.fullmatch(line))}
        for family in _FAMILY.findall(page):
            assert any(name.startswith(family.removesuffix("_created")) for name in samples), f"{family} has no sample"
        for name, labels in samples.items():
            found[name] |= {match[1] for match in _LABEL.finditer(labels)}
    return found


def _of_api() -> str:
    metrics = Metrics()
    metrics.requests.labels("list_experiments", "200").inc()
    metrics.seconds.labels("list_experiments").observe(0.1)
    metrics.outcomes.labels("accepted").inc()
    metrics.commands.labels("pause").inc()
    metrics.projection_lag.labels("experiments").set(0)
    return generate_latest(metrics.registry).decode()


def _of_controller() -> str:
    metrics = ControllerMetrics()
    metrics.ticked(["Running"], at=1.0)
    metrics.reconciled(0.1, 0.1)
    metrics.decided("promote")
    metrics.failed("registry")
    metrics.leads(True)
    metrics.pipelines({})
    return generate_latest(metrics.registry).decode()


def _of_team_registry() -> str:
    """Ask a proxy for something that it refuses by itself, then for its metrics."""

    async def asked() -> str:
        async with httpx.AsyncClient() as registry:
            app = WorkspaceProxy(registry, "red").app()
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
                assert (await client.get("/admin")).status_code == httpx.codes.FORBIDDEN
                return (await client.get("/metrics")).text

    return asyncio.run(asked())
