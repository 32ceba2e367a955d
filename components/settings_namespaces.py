"""Whose each namespace is: no two parts share one, and a part that is looked for is where its chart puts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components._charts import CHARTS, ISTIO_BASE
from ml.contracts.prerequisites import INSTALL

if TYPE_CHECKING:
    from components.settings import Settings


def filled_by_others(settings: Settings) -> Mapping[str, str]:
    """Return the namespaces that are neither the platform's nor a team's, with the setting that says so."""
    charts = {name: chart.namespace for name, chart in {**CHARTS, "istio": ISTIO_BASE}.items()}
    installed = {charts[name]: f"`prerequisites.{name}`" for name in settings.prerequisites.installed}
    return {**installed, settings.gateway.namespace: "`gateway.namespace`", "default": "the cluster"}


def shared_namespaces(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the parts whose namespace is another's, with what is allowed there."""
    taken, pipelines = filled_by_others(settings), settings.pipeline_service
    if owner := {**taken, pipelines.namespace: "`pipelineService.namespace`"}.get(settings.namespace):
        yield "namespace", f"another one than that of {owner}"
    if pipelines.enabled and (owner := taken.get(pipelines.namespace)):
        yield "pipeline_service", f"another namespace than {pipelines.namespace}, which is that of {owner}"


def missed_charts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what would be looked for elsewhere than where the stack installs it, with what is allowed."""
    looked_for = {
        "keda": ("autoscaling", "kedaNamespace", settings.autoscaling.keda_namespace),
        "gpuOperator": ("gpu", "operatorNamespace", settings.gpu.operator_namespace),
    }
    for name, (field, key, namespace) in looked_for.items():
        expected = CHARTS[name].namespace
        if settings.prerequisites.states[name] == INSTALL and namespace != expected:
            yield field, f"{key} {expected} where `prerequisites.{name}` is install: its chart goes there"
