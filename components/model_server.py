"""Serves one model: a Deployment per slot, each following one alias of the model registry.

Two containers share a volume: `sync` downloads the version that the alias names, `server` (TensorFlow Serving)
loads it. A pod is ready once that version is loaded and warmed up. Which version a slot serves is decided in the
registry, never here; how much traffic it gets is decided by the experiment controller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._devices import CLAIM, claim_spec, pod_claim
from components._disruption import disruption_budget, takes_turns
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, offer_service
from components._workload import (
    TMP_DIR,
    UNLISTED_SECONDS,
    Resources,
    container,
    env,
    http_probe,
    pod_template,
    scratch_volume,
    serving_priority,
    tcp_probe,
)
from ml.contracts import (
    LABEL_DOMAIN,
    MODEL_LABEL,
    MODELS_MOUNT,
    SERVING_GRPC_PORT,
    SERVING_REST_PORT,
    SLOT_LABEL,
    SYNC_PORT,
    access_label,
    kube_name,
    slot_alias,
)

_NAME = "model-server"
_CONFIG_DIR = "/etc/model-server"
_MONITORING_FILE = "monitoring.config"
_MONITORING_CONFIG = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'
_SERVER_BINARY = "/usr/bin/tensorflow_model_server"
_REST_TIMEOUT_MILLIS = 30_000
_DRAIN_SECONDS = UNLISTED_SECONDS + _REST_TIMEOUT_MILLIS // 1000
_STOP_SECONDS = 30
_NEVER = 2_147_483_647
_REVISION_LABEL = "service.istio.io/canonical-revision"
"""By which Istio's own proxy tells the slots apart in what it counts."""
_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""A slot is ready only when its alias exists in the registry, which no deployment can bring about."""


@dataclass(frozen=True, kw_only=True)
class ModelServerArgs:
    """What serving one model needs to know."""

    namespace: pulumi.Input[str]
    model: str
    """The model's name in the registry and in the serving API."""
    slots: tuple[str, ...]
    image: str
    sync_image: str
    registry_url: str
    registry_label: str
    """Name of the registry's service, whose access label the pods carry."""
    gateway: GatewayPeer
    """Who may send requests from outside the namespace."""
    replicas: int | None
    """Pods per slot; None where an autoscaler decides."""
    sync_interval_seconds: int
    """How often the alias is read."""
    storage_mib: int
    """Room for the versions of one slot; two are kept while they change."""
    server_resources: Resources
    sync_resources: Resources
    accelerator: str | None = None
    """The card that pods must get; None takes any."""
    claims: bool = False
    """Whether cards are claimed as devices, of the kind that `accelerator` names, instead of asked for by number."""
    idle_budget_minutes: int = 60
    """How long GPUs may wait for requests; on each Deployment that has some."""


class ModelServer(PlatformComponent):
    """The slots of one model behind one Service."""

    service: pulumi.Output[str]
    deployments: Mapping[str, pulumi.Output[str]]
    """Name of each slot's Deployment."""

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = {**object_labels(_NAME, name, args.image), MODEL_LABEL: kube_name(args.model)}
        self._selector = {**selector_labels(_NAME, name), MODEL_LABEL: kube_name(args.model)}
        self.service = self._create_service()
        config = self._create_config()
        self._claim = self._create_claim() if args.claims and args.server_resources.gpus else None
        self.deployments = {slot: self._create_slot(slot, config) for slot in args.slots}
        offer_service(
            self,
            name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[SERVING_REST_PORT, SERVING_GRPC_PORT],
            gateways=[args.gateway],
            gateway_ports=[SERVING_REST_PORT, SERVING_GRPC_PORT],
        )
        self.finish(service=self.service, deployments=dict(self.deployments))

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name, annotations=_SKIP_AWAIT),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[
                    k8s.core.v1.ServicePortArgs(name="http-rest", port=SERVING_REST_PORT, target_port="http-rest"),
                    k8s.core.v1.ServicePortArgs(
                        name="grpc-predict", port=SERVING_GRPC_PORT, target_port="grpc-predict"
                    ),
                ],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_config(self) -> pulumi.Output[str]:
        config = k8s.core.v1.ConfigMap(
            f"{self._name}-config",
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=self._args.namespace, labels=self._labels),
            data={_MONITORING_FILE: _MONITORING_CONFIG},
            opts=self.child(),
        )
        return config.metadata.name

    def _create_claim(self) -> k8s.core.v1.PodResourceClaimArgs:
        args = self._args
        # Kubernetes changes none; every pod keeps the claim that it was made with.
        replaced = pulumi.ResourceOptions(replace_on_changes=["spec"])
        template = k8s.resource.v1.ResourceClaimTemplate(
            f"{self._name}-gpus",
            metadata=k8s.meta.v1.ObjectMetaArgs(namespace=args.namespace, labels=self._labels),
            spec=claim_spec(args.server_resources.gpus, args.accelerator),
            opts=pulumi.ResourceOptions.merge(self.child(), replaced),
        )
        return pod_claim(template.metadata.name)

    def _create_slot(self, slot: str, config: pulumi.Output[str]) -> pulumi.Output[str]:
        args = self._args
        name = f"{self._name}-{slot}"
        labels = {**self._labels, SLOT_LABEL: slot}
        selector = {**self._selector, SLOT_LABEL: slot}
        template = pod_template(
            [self._server_container(), self._sync_container(slot)],
            priority=serving_priority(args.namespace),
            labels={**labels, _REVISION_LABEL: slot, **access_label(args.registry_label)},
            volumes=[
                scratch_volume("models", args.storage_mib),
                scratch_volume("tmp", 256),
                k8s.core.v1.VolumeArgs(name="config", config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=config)),
            ],
            spread=selector if takes_turns(args.replicas) else None,
            grace_seconds=_STOP_SECONDS + (_DRAIN_SECONDS if takes_turns(args.replicas) else 0),
            gpus=args.server_resources.gpus,
            # A claim names the card itself.
            accelerator=args.accelerator if self._claim is None else None,
            claim=self._claim,
        )
        deployment = k8s.apps.v1.Deployment(
            name,
            metadata=self._metadata(name, labels=labels, annotations={**_SKIP_AWAIT, **self._idle_budget()}),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=selector),
                template=template,
            ),
            opts=self.child(),
        )
        if takes_turns(args.replicas):
            disruption_budget(self, name, args.namespace, labels, selector)
        return deployment.metadata.name

    def _idle_budget(self) -> dict[str, str]:
        gpus = self._args.server_resources.gpus
        return {f"{LABEL_DOMAIN}/idle-budget-minutes": str(self._args.idle_budget_minutes)} if gpus else {}

    def _server_container(self) -> k8s.core.v1.ContainerArgs:
        resources = self._args.server_resources
        return container(
            "server",
            self._args.image,
            resources,
            # Not the image's entry point, which sets model name and path a second time.
            command=[_SERVER_BINARY],
            args=self._server_flags(max(1, math.ceil(resources.cpu_millis / 1000))),
            env=[env("HOME", TMP_DIR)],
            ports={"http-rest": SERVING_REST_PORT, "grpc-predict": SERVING_GRPC_PORT},
            mounts={TMP_DIR: "tmp"},
            read_only_mounts={MODELS_MOUNT: "models", _CONFIG_DIR: "config"},
            # The server opens its ports with its first version, for which an empty slot waits without limit.
            startup=tcp_probe("http-rest", period_seconds=2, failures=_NEVER),
            liveness=tcp_probe("http-rest", period_seconds=10, failures=6),
            # The server ends at once when it is told to, with whatever it has in hand.
            drain_seconds=_DRAIN_SECONDS if takes_turns(self._args.replicas) else 0,
            claim=CLAIM if self._claim is not None else None,
        )

    def _server_flags(self, threads: int) -> Sequence[str]:
        """Thread counts are set since the server takes them from the node, not from its own share of it."""
        model = self._args.model
        return [
            f"--port={SERVING_GRPC_PORT}",
            f"--rest_api_port={SERVING_REST_PORT}",
            f"--model_name={model}",
            f"--model_base_path={MODELS_MOUNT}/{model}",
            f"--monitoring_config_file={_CONFIG_DIR}/{_MONITORING_FILE}",
            "--enable_grpc_healthcheck_service=true",
            f"--rest_api_timeout_in_ms={_REST_TIMEOUT_MILLIS}",
            f"--rest_api_num_threads={8 * threads}",
            f"--grpc_max_threads={8 * threads}",
            # Versions load beside the requests instead of in between them.
            "--num_load_threads=1",
            "--num_unload_threads=1",
            # A version that does not load is given up within seconds; by default it seems to load for five minutes.
            "--max_num_load_retries=2",
            "--load_retry_interval_micros=1000000",
            f"--tensorflow_intra_op_parallelism={threads}",
            f"--tensorflow_inter_op_parallelism={threads}",
        ]

    def _sync_container(self, slot: str) -> k8s.core.v1.ContainerArgs:
        args = self._args
        return container(
            "sync",
            args.sync_image,
            args.sync_resources,
            command=["python3", "-m", "ml.serving.sync"],
            env=[
                env("MODEL_NAME", args.model),
                env("MODEL_ALIAS", slot_alias(slot)),
                env("MODEL_BASE_PATH", MODELS_MOUNT),
                env("MLFLOW_TRACKING_URI", args.registry_url),
                env("SERVER_REST_URL", f"http://127.0.0.1:{SERVING_REST_PORT}"),
                env("SYNC_INTERVAL_SECONDS", str(args.sync_interval_seconds)),
                env("SYNC_PORT", str(SYNC_PORT)),
                env("MLFLOW_DISABLE_TELEMETRY", "true"),
                env("HOME", TMP_DIR),
            ],
            ports={"http-sync": SYNC_PORT},
            mounts={MODELS_MOUNT: "models", TMP_DIR: "tmp"},
            readiness=http_probe("/readyz", "http-sync", period_seconds=2, failures=2),
            liveness=http_probe("/status", "http-sync", period_seconds=10, failures=6),
        )

    def _metadata(
        self, name: str, *, annotations: Mapping[str, str], labels: Mapping[str, str] | None = None
    ) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=self._args.namespace,
            labels=dict(labels or self._labels),
            annotations=dict(annotations),
        )
