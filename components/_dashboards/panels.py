"""Panels that look alike on every dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import GraphDrawStyle
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

_SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
_REFRESH = "30s"


def board(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """Return an empty dashboard of the last six hours."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["mlplatform"])
        .refresh(_REFRESH)
        .time("now-6h", "now")
        .readonly()
    )


def lines(
    title: str, description: str, unit: str, queries: Mapping[str, str], *, limit: float | None = None
) -> timeseries.Panel:
    """Return a panel of lines, legend by query; above `limit` is what an alert speaks of."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_SOURCE)
        .unit(unit)
        .draw_style(GraphDrawStyle.LINE)
        .height(8)
        .span(12)
    )
    if limit is not None:
        steps = [Threshold(color="green", value=None), Threshold(color="red", value=limit)]
        panel = panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for legend, query in queries.items():
        panel = panel.with_target(_target(query, legend))
    return panel


def number(title: str, description: str, unit: str, query: str, legend: str = "") -> stat.Panel:
    """Return a panel of large numbers."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(_SOURCE)
        .unit(unit)
        .height(5)
        .span(6)
        .with_target(_target(query, legend))
    )


def _target(query: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query).legend_format(legend).datasource(_SOURCE)
