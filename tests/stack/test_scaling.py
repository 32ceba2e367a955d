"""What the stacks promise about growing and shrinking, by name."""

from __future__ import annotations

import pytest
import yaml

from ml.contracts import DEFAULT_MODELS, SLOT_LABEL, slot_workload
from tests.support import pods
from tests.support.recording_monitor import Graph, reveal

SCALED = {
    "api",
    "tracking-server",
    *(slot_workload(model, slot) for model in DEFAULT_MODELS for slot in ("stable", "candidate-a")),
}


def scaled_by(graph: Graph) -> dict[str, str]:
    """Return autoscalers by the Deployment that they scale."""
    found = [item.manifest for item in graph.of_kind("ScaledObject")]
    return {manifest["spec"]["scaleTargetRef"]["name"]: manifest["metadata"]["name"] for manifest in found}


def test_one_autoscaler_scales_each_part_that_follows_the_load_when_deployed(cloud: Graph) -> None:
    assert scaled_by(cloud) == {name: name for name in SCALED}
    assert not cloud.of_kind("HorizontalPodAutoscaler"), "KEDA makes them; a second one would fight"


def test_nobody_but_the_autoscaler_says_how_many_pods_there_are_when_it_acts(graph: Graph) -> None:
    scaled = scaled_by(graph)
    for item in graph.of_kind("Deployment"):
        assert ("replicas" in item.manifest["spec"]) is (item.object_name not in scaled), item.name


def test_pods_that_come_and_go_are_spread_and_drained_when_an_autoscaler_acts(cloud: Graph) -> None:
    for name in SCALED:
        spec = pods.template_of(cloud.object("Deployment", name))["spec"]
        keys = [constraint["topologyKey"] for constraint in spec["topologySpreadConstraints"]]
        assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        (server,) = [container for container in spec["containers"] if container["name"] == "server"]
        drained = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert 5 <= drained < spec["terminationGracePeriodSeconds"]
        budgets = [item for item in cloud.of_kind("PodDisruptionBudget") if item.name == f"{name}-budget"]
        assert len(budgets) == 1


def test_model_server_outlives_every_request_in_hand_when_it_must_go(cloud: Graph) -> None:
    for item in cloud.of_kind("Deployment"):
        if SLOT_LABEL not in item.manifest["metadata"]["labels"]:
            continue
        server = pods.containers_of(item)["server"]
        (timeout,) = [argument for argument in server["args"] if argument.startswith("--rest_api_timeout_in_ms=")]
        drained = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert drained * 1000 >= int(timeout.partition("=")[2]) + 5_000


def test_slots_of_a_model_are_scaled_alike_when_both_are_asked(cloud: Graph) -> None:
    specs = {item.object_name: item.manifest["spec"] for item in cloud.of_kind("ScaledObject")}
    for model in DEFAULT_MODELS:
        stable, candidate = (specs[slot_workload(model, slot)] for slot in ("stable", "candidate-a"))
        for key in ("minReplicaCount", "maxReplicaCount", "advanced", "fallback"):
            assert stable[key] == candidate[key]
        first, second = (spec["triggers"][1]["metadata"] for spec in (stable, candidate))
        assert first["threshold"] == second["threshold"]
        assert (
            first["query"].replace('"stable"', '"candidate-a"').replace('"champion"', '"candidate-a"')
            == second["query"]
        )


def test_prometheus_answers_keda_and_measures_it_when_asked(cloud: Graph) -> None:
    (offer,) = [item for item in cloud.of_kind("NetworkPolicy") if item.name == "prometheus-offer"]
    peers = [peer for rule in offer.manifest["spec"]["ingress"] for peer in rule["from"]]
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}},
        "podSelector": {"matchLabels": {"app": "keda-operator"}},
    } in peers
    (config,) = [item for item in cloud.of_kind("ConfigMap") if item.name == "prometheus-config"]
    jobs = [job["job_name"] for job in yaml.safe_load(config.manifest["data"]["prometheus.yaml"])["scrape_configs"]]
    assert "keda" in jobs
    service = cloud.object("Service", "prometheus-finds-keda")
    assert service.manifest["metadata"]["namespace"] == "keda"


def test_every_question_of_an_autoscaler_is_one_of_the_rules_when_deployed(cloud: Graph) -> None:
    (rules,) = [item for item in cloud.of_kind("ConfigMap") if item.name == "prometheus-rules"]
    groups = yaml.safe_load(reveal(dict(rules.inputs))["data"]["platform.yaml"])["groups"]
    (scaling,) = [group["rules"] for group in groups if group["name"] == "scaling"]
    told = {rule["expr"] for rule in scaling if rule.get("record") == "mlplatform:autoscaler_wanted:pods"}
    asked = {
        f"({trigger['metadata']['query']}) / {trigger['metadata']['threshold']}"
        for item in cloud.of_kind("ScaledObject")
        for trigger in item.manifest["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    }
    assert told == asked


def test_data_come_first_and_nothing_is_driven_out_by_one_more_server_when_room_is_short(graph: Graph) -> None:
    classes = {item.object_name: item.manifest for item in graph.of_kind("PriorityClass")}
    names = data_class, serving_class = "free-deep-research-data", "free-deep-research-serving"
    assert set(classes) == set(names)
    data, serving = (classes[name] for name in names)
    assert data["value"] > serving["value"] > 0
    assert (data["preemptionPolicy"], serving["preemptionPolicy"]) == ("PreemptLowerPriority", "Never")
    named = {
        item.object_name: pods.template_of(item)["spec"].get("priorityClassName") for item in pods.workloads(graph)
    }
    # The cloud's database is no pod.
    holding_data = {"metadata-db", "prometheus"} & {item.object_name for item in graph.of_kind("StatefulSet")}
    assert {name for name, priority in named.items() if priority == data_class} >= holding_data >= {"prometheus"}
    assert {name for name, priority in named.items() if priority == serving_class} == {
        *SCALED,
        "experiment-controller",
    }


@pytest.mark.parametrize("kind", ["ScaledObject", "HorizontalPodAutoscaler"])
def test_nothing_needs_keda_when_a_stack_says_nothing(given: Graph, kind: str) -> None:
    assert not given.of_kind(kind)
