"""`mlp experiment results`: the report of one experiment."""

from __future__ import annotations

import json
import time

from ml.cli.experiment.client import ApiClient
from ml.cli.experiment.show import read
from ml.reporting.experiment.report import html_report, markdown_report


async def write_report(api: ApiClient, name: str, report_format: str) -> str:
    """Return the report as `md`, `html` or `json`."""
    if report_format == "json":
        return json.dumps(await api.results(name), indent=2, ensure_ascii=False) + "\n"
    results = await read(api, name)
    return html_report(results, time.time()) if report_format == "html" else markdown_report(results, time.time())
