"""Every kind of bad configuration is named, with its key, its value and what is allowed; and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pulumi
import pytest
import yaml

from components import settings
from components._schema import Sensitive, camel_case
from components._versions import IMAGES
from components._workload import Resources
from components.settings import ModelSettings, Settings, SettingsError, parse
from tests.support.recording_monitor import PROJECT, run
from tests.support.stacks import ROOT, STACKS

SECRET = "s" * 32
VALID = {"masterSecret": SECRET, "context": "test", "imageRegistry": "registry.test"}
ENCRYPTED = {"masterSecret"}


def parse_with(**changes: str | None) -> Settings:
    values = {**VALID, **changes}
    return parse({key: value for key, value in values.items() if value is not None}, ENCRYPTED)


def problems_of(**changes: str | None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_with(**changes)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_those_of_production_when_only_the_required_is_set() -> None:
    read = parse_with()
    assert read.namespace == "free-deep-research"
    assert read.domain == "freedeepresearch.org"
    assert read.protect_data is True
    assert read.tracking_server.workers == 4
    assert read.tracking_server.replicas == 2
    assert read.model_server.replicas == 2
    assert [(model.name, model.slots) for model in read.models] == [
        ("research_pattern_predictor", ("stable", "candidate-a")),
        ("content_quality_model", ("stable", "candidate-a")),
    ]
    assert read.gateway.selector == {"istio": "ingressgateway"}


def test_values_are_taken_when_they_are_allowed() -> None:
    read = parse_with(
        namespace="other",
        protectData="false",
        trackingServer='{"workers": 2, "allowedHosts": ["172.16.*", "metrics.example.org"]}',
        metadataDb='{"resources": {"memoryLimitMib": 4096}}',
        models='[{"name": "a_model", "slots": ["stable", "candidate-a", "candidate-b"]}]',
        images='{"mlflow": "registry.test/mlflow:1.0"}',
        gateway='{"selector": {"app": "gateway"}}',
        gatewayAddress="127.0.0.1:8080",
        storageClass="fast",
    )
    assert read.namespace == "other"
    assert read.protect_data is False
    assert read.tracking_server.workers == 2
    assert read.tracking_server.allowed_hosts == ("172.16.*", "metrics.example.org")
    assert read.metadata_db.resources == Resources(cpu_millis=500, memory_mib=1024, memory_limit_mib=4096)
    assert read.models == (ModelSettings(name="a_model", slots=("stable", "candidate-a", "candidate-b")),)
    assert read.image("mlflow") == "registry.test/mlflow:1.0"
    assert read.gateway.selector == {"app": "gateway"}
    assert read.gateway_address == "127.0.0.1:8080"
    assert read.storage_class == "fast"


BAD_INPUTS: list[tuple[str, dict[str, str | None], str]] = [
    (
        "unknown key",
        {"colour": "red"},
        "colour is an unknown key: allowed is one of access, admissionPolicies, api, autoscaling, aws, ba",
    ),
    ("key of the code", {"protect_data": "true"}, "protect_data is an unknown key"),
    ("unknown nested key", {"trackingServer": '{"worker": 2}'}, "trackingServer.worker is an unknown key: allowed is"),
    ("unknown image", {"images": '{"redis": "redis:7"}'}, "images.redis is an unknown key: allowed is one of minio,"),
    ("missing secret", {"masterSecret": None}, "masterSecret is missing: allowed is a text of at least 32 characters"),
    ("short secret", {"masterSecret": "short"}, "masterSecret = [secret]: allowed is a text of at least 32 characters"),
    ("missing cluster", {"context": None}, "context = null: allowed is the name of a context, unless `kubeconfig`"),
    ("missing registry", {"imageRegistry": None}, "imageRegistry = null: allowed is a registry and path, unless"),
    (
        "image outside the mirror",
        {"images": '{"mlflow": "quay.io/mlflow:1", "minio": "mirror/x/minio:1"}', "imageMirror": "mirror/x"},
        "allowed is references below mirror/x/, the mirror; mlflow lies elsewhere",
    ),
    (
        "mirror with a scheme",
        {"imageMirror": "https://mirror"},
        'imageMirror = "https://mirror": allowed is a registry',
    ),
    ("bad version", {"version": "v1"}, 'version = "v1": allowed is a version such as 1.2.3'),
    ("text for a number", {"trackingServer": '{"workers": "2"}'}, 'trackingServer.workers = "2": allowed is a whole'),
    ("fraction", {"trackingServer": '{"workers": 1.5}'}, "trackingServer.workers = 1.5: allowed is a whole number"),
    ("flag for a number", {"trackingServer": '{"workers": true}'}, "trackingServer.workers = true: allowed is a whole"),
    ("below range", {"trackingServer": '{"workers": 0}'}, "workers = 0: allowed is a whole number from 1 to 64"),
    ("above range", {"trackingServer": '{"workers": 65}'}, "workers = 65: allowed is a whole number from 1 to 64"),
    ("null", {"trackingServer": '{"workers": null}'}, "trackingServer.workers = null: allowed is a whole number"),
    ("text for a flag", {"protectData": "yes"}, 'protectData = "yes": allowed is true or false'),
    ("number for a flag", {"protectData": "1"}, "protectData = 1: allowed is true or false"),
    (
        "text for a table",
        {"metadataDb": "big"},
        'metadataDb = "big": allowed is a table of cluster, kind, maxConnections',
    ),
    ("list for a table", {"images": "[]"}, "images = []: allowed is a table of"),
    ("broken JSON", {"images": "{"}, 'images = "{": allowed is a table of'),
    ("bad namespace", {"namespace": "Research"}, 'namespace = "Research": allowed is a DNS label'),
    (
        "namespace of Kubernetes",
        {"namespace": "kube-system"},
        'namespace = "kube-system": allowed is a DNS label that does not begin with `kube-`',
    ),
    (
        "pipelines in a namespace of Kubernetes",
        {"pipelineService": '{"namespace": "kube-public"}'},
        'pipelineService.namespace = "kube-public": allowed is a DNS label that does not begin',
    ),
    ("long namespace", {"namespace": "n" * 64}, "allowed is a DNS label"),
    ("bad domain", {"domain": "localhost"}, 'domain = "localhost": allowed is a DNS name such as example.org'),
    (
        "unpinned image",
        {"images": '{"mlflow": "mlflow/mlflow"}'},
        'images.mlflow = "mlflow/mlflow": allowed is an image',
    ),
    ("latest image", {"images": '{"mlflow": "mlflow/mlflow:latest"}'}, "tag other than `latest`"),
    ("bad address", {"gatewayAddress": "http://gateway"}, 'gatewayAddress = "http://gateway": allowed is a host name'),
    ("no models", {"models": "[]"}, "models = []: allowed is a list of 1 to 500 different items"),
    ("model without name", {"models": "[{}]"}, "models[0].name is missing: allowed is a model name"),
    ("bad model name", {"models": '[{"name": "a-model"}]'}, 'models[0].name = "a-model": allowed is a model name'),
    (
        "same model twice",
        {"models": '[{"name": "m1"}, {"name": "m1", "slots": ["stable", "b"]}]'},
        "a list in which every name occurs once",
    ),
    (
        "two slots of one name",
        {"models": '[{"name": "ab", "slots": ["stable", "c-stable"]}, {"name": "ab_c"}]'},
        "names differ with their model's before them: ab-c-stable is that of ab's c-stable and ab_c's stable",
    ),
    (
        "slots without stable",
        {"models": '[{"name": "m1", "slots": ["candidate-a", "stable"]}]'},
        'models[0].slots = ["candidate-a", "stable"]: allowed is a list that starts with `stable`',
    ),
    ("one slot", {"models": '[{"name": "m1", "slots": ["stable"]}]'}, "models[0].slots = ["),
    ("same slot twice", {"models": '[{"name": "m1", "slots": ["stable", "stable"]}]'}, "models[0].slots = ["),
    (
        "limit below reservation",
        {"objectStore": '{"resources": {"memoryMib": 512, "memoryLimitMib": 256}}'},
        "objectStore.resources.memoryLimitMib = 256: allowed is at least memoryMib, which is 512",
    ),
    (
        "bad label",
        {"gateway": '{"selector": {"istio": "in gress"}}'},
        'gateway.selector.istio = "in gress": allowed is',
    ),
    (
        "word for a flag",
        {"pipelineService": '{"enabled": "yes"}'},
        'pipelineService.enabled = "yes": allowed is true or',
    ),
    ("no replica", {"pipelineService": '{"replicas": 0}'}, "pipelineService.replicas = 0: allowed is a whole number"),
    ("same namespace", {"namespace": "kubeflow"}, 'namespace = "kubeflow": allowed is another one than that of'),
    ("bad host pattern", {"trackingServer": '{"allowedHosts": ["a b"]}'}, 'trackingServer.allowedHosts[0] = "a b"'),
    (
        "Alertmanager without a port",
        {"monitoring": '{"alertmanagers": ["alerts.example.org"]}'},
        "allowed is a host name (a-z, 0-9, hyphens, dots) or IPv4 address with its port, such as alertmanager-operated",
    ),
    (
        "Alertmanager with a scheme",
        {"monitoring": '{"alertmanagers": ["a.b:1", "http://a.b:9093"]}'},
        'monitoring.alertmanagers[1] = "http://a.b:9093": allowed is a host name',
    ),
    (
        "same Alertmanager twice",
        {"monitoring": '{"alertmanagers": ["a.b:9093", "a.b:9093"]}'},
        'monitoring.alertmanagers = ["a.b:9093", "a.b:9093"]: allowed is a list of 0 to 8 different items',
    ),
    (
        "too many Alertmanagers",
        {"monitoring": json.dumps({"alertmanagers": [f"a.b:{port}" for port in range(1, 10)]})},
        "allowed is a list of 0 to 8 different items, each a host name",
    ),
    (
        "one Alertmanager without a list",
        {"monitoring": '{"alertmanagers": "a.b:9093"}'},
        'monitoring.alertmanagers = "a.b:9093": allowed is a list of',
    ),
    (
        "kubeconfig in the clear",
        {"kubeconfig": "apiVersion: v1\nkind: Config"},
        "kubeconfig = [secret]: allowed is the path",
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in BAD_INPUTS], ids=[case[0] for case in BAD_INPUTS]
)
def test_problem_names_key_value_and_allowed_when_input_is_bad(changes: dict[str, str | None], expected: str) -> None:
    (problem,) = problems_of(**changes)
    assert expected in problem
    assert problem.startswith(next(iter(changes)))


@pytest.mark.parametrize(
    "address",
    [
        "a.b:0", "a.b:65536", "a.b:09093", "a.b:", ":9093", "a.b:9093/", "a.b:9093:9093", "A.b:9093", "a_b:9093",
        "a..b:9093", "-a.b:9093", "a-.b:9093", "10.0.0.256:9093", "10.0.0:9093", "9093:9093", "[::1]:9093", "a b:9093",
        "a.b:9093\n", f"{'a' * 64}.b:9093",
    ],
)  # fmt: skip
def test_alertmanager_is_refused_when_its_address_is_none(address: str) -> None:
    (problem,) = problems_of(monitoring=json.dumps({"alertmanagers": [address]}))
    assert problem.startswith("monitoring.alertmanagers[0] = ")


def test_alertmanagers_are_taken_when_each_has_a_port() -> None:
    addresses = ["alertmanager-operated.monitoring:9093", "alertmanager:1", "10.0.0.7:65535", "alerts.example.org:443"]
    assert parse_with().monitoring.alertmanagers == ()
    read = parse_with(monitoring=json.dumps({"alertmanagers": addresses}))
    assert read.monitoring.alertmanagers == tuple(addresses)


def test_all_problems_are_in_one_error_when_there_are_several() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_with(
            colour="red",
            trackingServer='{"workers": 0, "replicas": 0}',
            masterSecret=None,
            namespace="X",
            context=None,
            models='[{"slots": ["a", "b"]}]',
        )
    message = str(caught.value)
    assert message.startswith("8 problems in the configuration, nothing has been changed:")
    assert re.findall(r"^  - (\S+)", message, re.MULTILINE) == [
        "colour",
        "masterSecret",
        "namespace",
        "trackingServer.workers",
        "trackingServer.replicas",
        "models[0].name",
        "models[0].slots",
        "context",
    ]


def test_secret_is_refused_and_not_shown_when_it_is_stored_in_the_clear() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(VALID, encrypted=set())
    assert "masterSecret = [secret]" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_plain_setting_is_refused_without_being_shown_when_it_is_encrypted() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({**VALID, "namespace": "hidden-namespace"}, ENCRYPTED | {"namespace"})
    assert "namespace = [secret]" in str(caught.value)
    assert "hidden-namespace" not in str(caught.value)


def test_kubeconfig_content_is_taken_when_it_is_encrypted() -> None:
    read = parse({**VALID, "kubeconfig": "apiVersion: v1\nkind: Config"}, ENCRYPTED | {"kubeconfig"})
    assert isinstance(read.kubeconfig, Sensitive)
    assert read.kubeconfig.reveal() == "apiVersion: v1\nkind: Config"


def test_master_secret_does_not_show_when_settings_are_printed() -> None:
    assert SECRET not in repr(parse_with())


def test_context_may_be_missing_when_a_kubeconfig_is_named() -> None:
    assert parse_with(context=None, kubeconfig="/path/to/kubeconfig").kubeconfig == "/path/to/kubeconfig"


def test_registry_may_be_missing_when_all_own_images_are_named() -> None:
    images = {name: f"registry.test/{name}:1" for name, image in IMAGES.items() if image.own}
    assert parse_with(imageRegistry=None, images=json.dumps(images)).image("ml") == "registry.test/ml:1"


def test_registry_may_be_missing_when_there_is_a_mirror() -> None:
    read = parse_with(imageRegistry=None, imageMirror="mirror.test/all", version="2.0.0")
    assert read.image("ml") == "mirror.test/all/mlplatform/ml:2.0.0"
    assert read.image("mlflow") == "mirror.test/all/ghcr.io/mlflow/mlflow:v3.17.2-full"


def test_own_images_alone_have_the_version_when_one_is_set() -> None:
    read = parse_with(version="2.0.0-rc.1")
    own = {name for name in IMAGES if read.image(name).endswith(":2.0.0-rc.1")}
    assert own == {name for name, image in IMAGES.items() if image.own}


@pytest.mark.parametrize(
    "reference",
    [
        "localhost/mlplatform/ml:0123456789ab",
        "localhost:5000/ml:1",
        "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z",
        "docker.io/library/postgres:18.6@sha256:" + "0" * 64,
        "docker.io/library/postgres@sha256:" + "0" * 64,
        "postgres:18",
    ],
)
def test_image_reference_is_taken_when_it_is_pinned(reference: str) -> None:
    assert parse_with(images=json.dumps({"postgres": reference})).image("postgres") == reference


def test_configuration_of_the_running_stack_is_read_when_loaded() -> None:
    found: list[Settings] = []
    config = {f"{PROJECT}:{key}": value for key, value in VALID.items()} | {"pulumi:disable-default-providers": '["*"]'}
    run(lambda: found.append(settings.load()), config=config, encrypted=(f"{PROJECT}:masterSecret",))
    (read,) = found
    assert read.context == "test"
    assert read.master_secret.reveal() == SECRET


def test_program_ends_before_the_first_resource_when_the_configuration_is_bad() -> None:
    declared: list[str] = []

    def program() -> None:
        settings.load()
        declared.append("reached")

    with pytest.raises(pulumi.RunError, match="2 problems in the configuration"):
        run(program, config={f"{PROJECT}:imageRegistry": "registry.test"})
    assert declared == []


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_committed_configuration_has_only_known_keys_when_read(stack: str) -> None:
    committed: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    known = {f"{PROJECT}:{camel_case(field.name)}" for field in dataclasses.fields(Settings)}
    assert set(committed) - {"pulumi:disable-default-providers"} <= known
    assert committed["pulumi:disable-default-providers"] == ["*"]


def test_committed_configuration_holds_no_secret_in_the_clear_when_read() -> None:
    for stack in STACKS:
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
        assert "masterSecret:" not in text
