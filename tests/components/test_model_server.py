"""The slots of a model. What a slot does with an alias is shown in tests/ml/serving and end to end."""

from __future__ import annotations

import pytest

from components._workload import Resources
from components.model_server import ModelServer
from ml.contracts import SLOT_LABEL
from tests.support import pods
from tests.support.catalogue import declare_one
from tests.support.catalogue_values import CLIENT_IMAGE, IMAGE
from tests.support.recording_monitor import Graph


@pytest.fixture(scope="module")
def graph() -> Graph:
    return declare_one(ModelServer, instance="some-model")


def flags(graph: Graph, slot: str = "stable") -> dict[str, str]:
    server = pods.containers_of(graph.object("Deployment", f"some-model-{slot}"))["server"]
    return dict(argument.removeprefix("--").split("=", 1) for argument in server["args"])


def test_exactly_these_objects_are_declared_when_there_are_two_slots(graph: Graph) -> None:
    assert sorted((item.kind, item.name) for item in graph.kubernetes_objects()) == [
        ("ConfigMap", "some-model-config"),
        ("Deployment", "some-model-candidate-a"),
        ("Deployment", "some-model-stable"),
        ("NetworkPolicy", "some-model-access"),
        ("NetworkPolicy", "some-model-offer"),
        ("PodDisruptionBudget", "some-model-candidate-a-budget"),
        ("PodDisruptionBudget", "some-model-stable-budget"),
        ("Service", "some-model"),
    ]


@pytest.mark.parametrize(("slot", "alias"), [("stable", "champion"), ("candidate-a", "candidate-a")])
def test_sync_follows_the_slots_alias_when_it_runs(graph: Graph, slot: str, alias: str) -> None:
    sync = pods.containers_of(graph.object("Deployment", f"some-model-{slot}"))["sync"]
    env = pods.env_of(sync)
    assert env["MODEL_NAME"] == "some_model"
    assert env["MODEL_ALIAS"] == alias
    assert env["MODEL_BASE_PATH"] == "/models"
    assert env["MLFLOW_TRACKING_URI"] == "http://tracking-server:5000"
    assert env["SERVER_REST_URL"] == "http://127.0.0.1:8501"
    assert env["SYNC_INTERVAL_SECONDS"] == "15"
    assert env["SYNC_PORT"] == "8502"
    assert sync["image"] == CLIENT_IMAGE


def test_server_loads_what_sync_downloads_when_both_run(graph: Graph) -> None:
    containers = pods.containers_of(graph.object("Deployment", "some-model-stable"))
    assert flags(graph)["model_name"] == "some_model"
    assert flags(graph)["model_base_path"] == "/models/some_model"
    mounts = [
        {mount["mountPath"]: mount["name"] for mount in containers[name]["volumeMounts"]} for name in ("server", "sync")
    ]
    assert mounts[0]["/models"] == mounts[1]["/models"]
    assert containers["server"]["image"] == IMAGE
    assert containers["server"]["command"] == ["/usr/bin/tensorflow_model_server"]


def test_volume_has_the_size_that_is_set_when_declared(graph: Graph) -> None:
    volumes = pods.template_of(graph.object("Deployment", "some-model-stable"))["spec"]["volumes"]
    (models,) = [item for item in volumes if item["name"] == "models"]
    assert models["emptyDir"] == {"sizeLimit": "1000Mi"}


def test_metrics_and_health_are_on_when_the_server_starts(graph: Graph) -> None:
    config = graph.object("ConfigMap", "some-model-config").manifest["data"]["monitoring.config"]
    assert 'enable: true path: "/monitoring/prometheus/metrics"' in config
    assert flags(graph)["monitoring_config_file"] == "/etc/model-server/monitoring.config"
    assert flags(graph)["enable_grpc_healthcheck_service"] == "true"


def test_threads_follow_the_reserved_cpu_when_it_is_a_fraction(graph: Graph) -> None:
    assert flags(graph)["tensorflow_intra_op_parallelism"] == "2", "1,500 thousandths of a core, rounded up"


def test_server_is_never_killed_while_it_waits_for_its_first_version_when_the_alias_is_missing(graph: Graph) -> None:
    server = pods.containers_of(graph.object("Deployment", "some-model-candidate-a"))["server"]
    startup = server["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] > 100 * 365 * 86_400
    assert "readinessProbe" not in server, "sync alone knows whether the wanted version is served"


def test_deployment_does_not_wait_for_a_model_when_none_is_registered(graph: Graph) -> None:
    for kind, name in (("Deployment", "some-model-stable"), ("Service", "some-model")):
        annotations = graph.object(kind, name).manifest["metadata"]["annotations"]
        assert annotations == {"pulumi.com/skipAwait": "true"}


def test_slots_share_the_service_and_nothing_else_when_selected(graph: Graph) -> None:
    service = graph.object("Service", "some-model").manifest["spec"]
    assert [(port["name"], port["port"]) for port in service["ports"]] == [("http-rest", 8501), ("grpc-predict", 8500)]
    assert SLOT_LABEL not in service["selector"]
    for slot in ("stable", "candidate-a"):
        deployment = graph.object("Deployment", f"some-model-{slot}")
        assert deployment.manifest["spec"]["selector"]["matchLabels"][SLOT_LABEL] == slot
        labels = pods.template_of(deployment)["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "model-server"
        assert labels["mlplatform.dev/model"] == "some-model"
        assert labels["mlplatform.dev/slot"] == slot
        assert service["selector"].items() <= labels.items()


def test_budget_counts_the_pods_of_one_slot_when_a_node_is_drained(graph: Graph) -> None:
    (budget,) = [item for item in graph.of_kind("PodDisruptionBudget") if item.name == "some-model-stable-budget"]
    assert budget.manifest["spec"]["selector"]["matchLabels"][SLOT_LABEL] == "stable"
    assert budget.manifest["spec"]["maxUnavailable"] == 1


def test_pods_claim_cards_of_a_kind_when_devices_are_claimed() -> None:
    resources = Resources(cpu_millis=1000, memory_mib=1024, memory_limit_mib=2048, gpus=2)
    graph = declare_one(
        ModelServer, instance="some-model", server_resources=resources, accelerator="rtx-4090", claims=True
    )
    (template,) = graph.of_kind("ResourceClaimTemplate")
    (request,) = template.manifest["spec"]["spec"]["devices"]["requests"]
    kind = "device.attributes['gpu.nvidia.com'].productName.lowerAscii().matches(r'\\brtx[ -]4090\\b')"
    assert request["exactly"] == {
        "deviceClassName": "gpu.nvidia.com",
        "allocationMode": "ExactCount",
        "count": 2,
        "selectors": [{"cel": {"expression": kind}}],
    }
    for slot in ("stable", "candidate-a"):
        deployment = graph.object("Deployment", f"some-model-{slot}")
        spec, containers = pods.template_of(deployment)["spec"], pods.containers_of(deployment)
        (claim,) = spec["resourceClaims"]
        assert claim["name"] == "gpu"
        assert claim["resourceClaimTemplateName"].startswith("some-model-gpus-")
        assert containers["server"]["resources"]["claims"] == [{"name": "gpu"}]
        assert "claims" not in containers["sync"]["resources"]
        assert not any("nvidia" in name for name in containers["server"]["resources"]["limits"])
        assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert "nodeSelector" not in spec, "the claim finds the card"
        assert deployment.manifest["metadata"]["annotations"]["mlplatform.dev/idle-budget-minutes"] == "60"


def test_any_card_will_do_when_none_is_named() -> None:
    resources = Resources(cpu_millis=1000, memory_mib=1024, memory_limit_mib=2048, gpus=1)
    (template,) = declare_one(ModelServer, server_resources=resources, claims=True).of_kind("ResourceClaimTemplate")
    (request,) = template.manifest["spec"]["spec"]["devices"]["requests"]
    assert "selectors" not in request["exactly"]


def test_nothing_is_claimed_when_pods_have_no_gpu() -> None:
    graph = declare_one(ModelServer, claims=True)
    assert not graph.of_kind("ResourceClaimTemplate")
    assert "resourceClaims" not in pods.template_of(graph.object("Deployment", "example-stable"))["spec"]


def test_pods_want_a_gpu_when_one_is_set() -> None:
    resources = Resources(cpu_millis=1000, memory_mib=1024, memory_limit_mib=2048, gpus=1)
    graph = declare_one(ModelServer, instance="some-model", server_resources=resources)
    deployment = graph.object("Deployment", "some-model-stable")
    containers = pods.containers_of(deployment)
    assert containers["server"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in containers["sync"]["resources"]["limits"]
    assert deployment.manifest["metadata"]["annotations"]["mlplatform.dev/idle-budget-minutes"] == "60"
    assert pods.template_of(deployment)["spec"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
