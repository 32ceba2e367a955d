"""Decides how many pods one Deployment has: by its load within a minute upwards, slowly downwards.

With measures it is a ScaledObject of KEDA, which makes a HorizontalPodAutoscaler of its own; by CPU alone it may be
such an autoscaler itself, and needs no KEDA. Both are called like the Deployment, of which Pulumi leaves `replicas` out
(docs/adr/0001).

Upwards nothing is waited for and the pods may double every 15 seconds, so that a minute is enough for what is measured
every 15. Downwards the highest of the last minutes counts, and pods go one a minute: each answers what it has in hand
first. A measure without an answer is an error and never a zero: while there is one, nothing shrinks, and after three in
a row the pods there are stay. There is no step to zero, and so no cooldown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels
from components._scaling import Measure, Scaler

Engine = Literal["keda", "hpa"]

_NAME = "autoscaler"
_CONTAINER = "server"
_POLLING_SECONDS = 15
_FAILURES_IN_A_ROW = 3
_STEP_SECONDS = 15
_LONGEST_NAME = 54
"""With KEDA's `keda-hpa-` before it a name must still be a label."""


@dataclass(frozen=True, kw_only=True)
class AutoscalerArgs:
    """What an autoscaler needs to know."""

    namespace: pulumi.Input[str]
    deployment: pulumi.Input[str]
    """Taken from the Deployment, so that it is there first and goes last."""
    scaler: Scaler
    engine: Engine
    metrics_url: str
    """Prometheus, as it is called from another namespace."""
    calm_minutes: int
    """How long the load must have been lower before pods go."""


class Autoscaler(PlatformComponent):
    """What scales one Deployment."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        scaler = args.scaler
        if len(scaler.name) > _LONGEST_NAME:
            raise ValueError(f"autoscaler {scaler.name}: allowed are {_LONGEST_NAME} characters")
        if args.engine == "hpa" and scaler.measures:
            raise ValueError(f"autoscaler {scaler.name}: only KEDA can ask Prometheus")
        self._args, self._scaler = args, scaler
        metadata = k8s.meta.v1.ObjectMetaArgs(
            name=scaler.name, namespace=args.namespace, labels=object_labels(_NAME, scaler.name)
        )
        if args.engine == "keda":
            self._create_scaled_object(metadata)
        else:
            self._create_autoscaler(metadata)
        self.finish(deployment=args.deployment)

    def _create_scaled_object(self, metadata: k8s.meta.v1.ObjectMetaArgs) -> None:
        scaler = self._scaler
        advanced = {"restoreToOriginalReplicaCount": False, "horizontalPodAutoscalerConfig": {"behavior": self._pace()}}
        spec: dict[str, Any] = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self._args.deployment},
            "minReplicaCount": scaler.minimum,
            "maxReplicaCount": scaler.maximum,
            "pollingInterval": _POLLING_SECONDS,
            "advanced": advanced,
            "triggers": [self._cpu_trigger(), *(self._trigger(measure) for measure in scaler.measures)],
        }
        # KEDA falls back only from what is shared out; Kubernetes itself shrinks nothing while any measure fails.
        if any(measure.metric_type == "AverageValue" for measure in scaler.measures):
            spec["fallback"] = {
                "failureThreshold": _FAILURES_IN_A_ROW,
                "replicas": scaler.minimum,
                "behavior": "currentReplicasIfHigher",
            }
        k8s.apiextensions.CustomResource(
            self._name,
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata=metadata,
            spec=spec,
            opts=self.child(),
        )

    def _cpu_trigger(self) -> dict[str, Any]:
        # The other container of a model server idles, and would halve the average.
        metadata = {"value": str(self._scaler.cpu_percent), "containerName": _CONTAINER}
        return {"type": "cpu", "name": "cpu", "metricType": "Utilization", "metadata": metadata}

    def _trigger(self, measure: Measure) -> dict[str, Any]:
        return {
            "type": "prometheus",
            "name": measure.name,
            "metricType": measure.metric_type,
            "metadata": {
                "serverAddress": self._args.metrics_url,
                "query": measure.query,
                "threshold": str(measure.target),
                # Without this word an empty answer is a zero.
                "ignoreNullValues": "false",
            },
        }

    def _create_autoscaler(self, metadata: k8s.meta.v1.ObjectMetaArgs) -> None:
        scaler = self._scaler
        target = k8s.autoscaling.v2.MetricTargetArgs(type="Utilization", average_utilization=scaler.cpu_percent)
        cpu = k8s.autoscaling.v2.ContainerResourceMetricSourceArgs(name="cpu", container=_CONTAINER, target=target)
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            self._name,
            metadata=metadata,
            spec=k8s.autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=k8s.autoscaling.v2.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=self._args.deployment
                ),
                min_replicas=scaler.minimum,
                max_replicas=scaler.maximum,
                metrics=[k8s.autoscaling.v2.MetricSpecArgs(type="ContainerResource", container_resource=cpu)],
                behavior=self._pace(),  # pyright: ignore[reportArgumentType] the form that both kinds take
            ),
            opts=self.child(),
        )

    def _pace(self) -> dict[str, Any]:
        double = {"type": "Percent", "value": 100, "periodSeconds": _STEP_SECONDS}
        a_few = {"type": "Pods", "value": 4, "periodSeconds": _STEP_SECONDS}
        one = {"type": "Pods", "value": 1, "periodSeconds": 60}
        return {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [double, a_few]},
            "scaleDown": {
                "stabilizationWindowSeconds": 60 * self._args.calm_minutes,
                "selectPolicy": "Max",
                "policies": [one],
            },
        }
