"""One Deployment's autoscaler. Whether it scales is up to KEDA; what it asks is in test_scaling_queries."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from components._scaling import Measure, Scaler
from components.autoscaler import Autoscaler
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph

BY_CPU = Scaler(name="example", minimum=2, maximum=9, cpu_percent=60)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    (item,) = declare_one(Autoscaler).kubernetes_objects()
    assert (item.manifest["apiVersion"], item.kind) == ("keda.sh/v1alpha1", "ScaledObject")
    return item.manifest["spec"]


def by_cpu_alone() -> Graph:
    return declare_one(Autoscaler, scaler=BY_CPU, engine="hpa")


def test_empty_answer_is_an_error_when_a_measure_is_asked(spec: dict[str, Any]) -> None:
    (trigger,) = [trigger for trigger in spec["triggers"] if trigger["type"] == "prometheus"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert trigger["metadata"] == {
        "serverAddress": "http://prometheus.research:9090",
        "query": "sum(some_series)",
        "threshold": "4",
        "ignoreNullValues": "false",
    }
    assert trigger["metricType"] == "AverageValue"


def test_pods_stay_as_they_are_when_a_measure_fails(spec: dict[str, Any]) -> None:
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}


def test_cpu_of_the_serving_container_alone_counts_when_measured(spec: dict[str, Any]) -> None:
    (trigger,) = [trigger for trigger in spec["triggers"] if trigger["type"] == "cpu"]
    assert trigger["metadata"] == {"value": "70", "containerName": "server"}
    assert trigger["metricType"] == "Utilization"


def test_no_step_to_zero_exists_when_declared(spec: dict[str, Any]) -> None:
    assert spec["minReplicaCount"] >= 1
    assert "idleReplicaCount" not in spec


def test_everything_is_there_within_a_minute_when_the_load_grows_sixteenfold(spec: dict[str, Any]) -> None:
    up = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]
    assert up["stabilizationWindowSeconds"] == 0
    steps = {(policy["type"], policy["value"], policy["periodSeconds"]) for policy in up["policies"]}
    assert ("Percent", 100, 15) in steps
    assert math.log2(16) * 15 <= 60


def test_pods_go_one_by_one_and_late_when_the_load_falls(spec: dict[str, Any]) -> None:
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 600
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_object_is_kubernetes_own_when_there_is_no_keda(spec: dict[str, Any]) -> None:
    (item,) = by_cpu_alone().kubernetes_objects()
    assert (item.manifest["apiVersion"], item.kind) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    own = item.manifest["spec"]
    assert (own["minReplicas"], own["maxReplicas"]) == (2, 9)
    (metric,) = own["metrics"]
    assert metric["containerResource"] == {
        "name": "cpu",
        "container": "server",
        "target": {"type": "Utilization", "averageUtilization": 60},
    }
    assert own["behavior"] == spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], "the same pace"
    assert own["scaleTargetRef"] == spec["scaleTargetRef"]


@pytest.mark.parametrize(
    "measures",
    [(), (Measure(name="gpu", query="avg(busy)", target=80, metric_type="Value"),)],
    ids=["cpu alone", "the same for all pods"],
)
def test_fallback_is_left_out_when_nothing_can_fall_back(measures: tuple[Measure, ...]) -> None:
    scaler = dataclasses.replace(BY_CPU, measures=measures)
    (item,) = declare_one(Autoscaler, scaler=scaler).kubernetes_objects()
    assert "fallback" not in item.manifest["spec"], "KEDA would refuse the whole object"
    assert len(item.manifest["spec"]["triggers"]) == 1 + len(measures)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scaler": Scaler(name="x" * 55, minimum=1, maximum=2, cpu_percent=50)}, "allowed are 54 characters"),
        (
            {
                "engine": "hpa",
                "scaler": Scaler(
                    name="x", minimum=1, maximum=2, cpu_percent=50, measures=(Measure(name="m", query="q", target=1),)
                ),
            },
            "only KEDA can ask Prometheus",
        ),
    ],
)
def test_autoscaler_is_refused_when_it_could_not_work(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        declare_one(Autoscaler, **changes)
