"""Runs the experiment controller, the only writer of the weights between the slots of a model.

Of several replicas one leads, by a lease; the others wait and take over within seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right, grant, service_account
from components._base import PlatformComponent
from components._database import DatabaseAccess, authority_mounts, authority_volumes, database_env
from components._disruption import disruption_budget
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, allow_from_pods, allow_kubernetes_api, allow_to_pods, network_policy
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    env,
    env_from_field,
    http_probe,
    pod_template,
    scratch_volume,
    serving_priority,
)
from ml.contracts import (
    CONTROLLER_METRICS_PORT,
    EXPERIMENT_CONTROLLER,
    GATEWAY_ADMIN_PORT,
    LABEL_DOMAIN,
    SYNC_PORT,
    access_label,
)

_NAME = EXPERIMENT_CONTROLLER
_HEALTH_PORT = 8080
_GRACE_SECONDS = 15
_MODEL_SERVERS = {"app.kubernetes.io/name": "model-server"}


@dataclass(frozen=True, kw_only=True)
class ExperimentControllerArgs:
    """What the controller needs to know."""

    namespace: pulumi.Input[str]
    image: str
    replicas: int
    database: DatabaseAccess
    """The event store's."""
    test_kind: pulumi.Input[str]
    """Name of the definition of experiments; taken so that the controller starts after it."""
    registry_url: str
    registry_label: str
    """Name of the registry's service, whose access label the pods carry."""
    metrics_url: str
    metrics_label: str
    """Name of the Prometheus service, whose access label the pods carry."""
    gateway: GatewayPeer
    reads_gateway: bool
    """Whether the gateway's pods show what they have; otherwise what was written counts after a while."""
    split_timeout_seconds: int
    """Longest time that the gateway waits for a model's answer."""
    resources: Resources


class ExperimentController(PlatformComponent):
    """The controller's Deployment and what it may do."""

    deployment: pulumi.Output[str]

    def __init__(self, name: str, args: ExperimentControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.deployment = self._create_deployment(self._create_account())
        if args.replicas > 1:
            disruption_budget(self, name, args.namespace, self._labels, self._selector)
        self._create_policies()
        self.finish(deployment=self.deployment)

    def _create_account(self) -> pulumi.Output[str]:
        """An account that may write routes and an experiment's status, but delete nothing and read no Secret."""
        namespace = self._args.namespace
        account = service_account(self, self._name, namespace, self._labels)
        grant(
            self,
            self._name,
            account=account,
            account_namespace=namespace,
            namespace=namespace,
            labels=self._labels,
            rights=[
                Right(
                    group="networking.istio.io",
                    resource="virtualservices",
                    verbs=("get", "list", "watch", "create", "patch"),
                ),
                Right(group=LABEL_DOMAIN, resource="abtests", verbs=("get", "list", "watch")),
                Right(group=LABEL_DOMAIN, resource="abtests/status", verbs=("patch",)),
                # A right to create cannot be limited to a name.
                Right(group="coordination.k8s.io", resource="leases", verbs=("create",)),
                Right(group="coordination.k8s.io", resource="leases", verbs=("get", "update"), names=(_NAME,)),
                Right(group="", resource="pods", verbs=("get", "list")),
                # How the runs of pipelines ended.
                Right(group="batch", resource="jobs", verbs=("list",)),
            ],
        )
        grant(
            self,
            f"{self._name}-gateway",
            account=account,
            account_namespace=namespace,
            namespace=self._args.gateway.namespace,
            labels=self._labels,
            rights=[Right(group="", resource="pods", verbs=("get", "list"))],
        )
        return account

    def _create_deployment(self, account: pulumi.Output[str]) -> pulumi.Output[str]:
        args = self._args
        controller = container(
            "controller",
            args.image,
            args.resources,
            command=["python3", "-m", "ml.controller"],
            env=self._environment(),
            ports={"http-health": _HEALTH_PORT, "http-metrics": CONTROLLER_METRICS_PORT},
            mounts={TMP_DIR: "tmp"},
            read_only_mounts=authority_mounts(args.database.authority),
            startup=http_probe("/healthz", "http-health", period_seconds=2, failures=60),
            readiness=http_probe("/healthz", "http-health", period_seconds=5),
            liveness=http_probe("/healthz", "http-health", period_seconds=10, failures=6),
        )
        template = pod_template(
            [controller],
            priority=serving_priority(self._args.namespace),
            labels={
                **self._labels,
                **access_label(args.database.label),
                **access_label(args.registry_label),
                **access_label(args.metrics_label),
            },
            annotations={CONFIG_ANNOTATION: args.database.fingerprint},
            service_account=account,
            volumes=[scratch_volume("tmp", 64), *authority_volumes(args.database.authority)],
            grace_seconds=_GRACE_SECONDS,
            spread=self._selector if args.replicas > 1 else None,
        )
        metadata = self._metadata(self._name)
        metadata.annotations = {f"{LABEL_DOMAIN}/test-kind": args.test_kind}
        deployment = k8s.apps.v1.Deployment(
            self._name,
            metadata=metadata,
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(),
        )
        return deployment.metadata.name

    def _environment(self) -> list[k8s.core.v1.EnvVarArgs]:
        args = self._args
        plain = {
            "SPLIT_TIMEOUT_SECONDS": str(args.split_timeout_seconds),
            "HEALTH_PORT": str(_HEALTH_PORT),
            "METRICS_PORT": str(CONTROLLER_METRICS_PORT),
            "REGISTRY_URL": args.registry_url,
            "PROMETHEUS_URL": args.metrics_url,
            "GATEWAY_NAMESPACE": args.gateway.namespace,
            "GATEWAY_SELECTOR": ",".join(f"{key}={value}" for key, value in args.gateway.selector.items()),
            "GATEWAY_READ_BACK": "config-dump" if args.reads_gateway else "written",
            "HOME": TMP_DIR,
        }
        return [
            env_from_field("NAMESPACE", "metadata.namespace"),
            env_from_field("POD_NAME", "metadata.name"),
            *database_env(args.database),
            *(env(key, value) for key, value in plain.items()),
        ]

    def _create_policies(self) -> None:
        gateway = self._args.gateway
        policies = {
            "api-access": allow_kubernetes_api(self._selector),
            "slot-access": allow_to_pods(self._selector, _MODEL_SERVERS, [SYNC_PORT]),
            "slot-offer": allow_from_pods(_MODEL_SERVERS, self._selector, [SYNC_PORT]),
            "gateway-access": allow_to_pods(
                self._selector, gateway.selector, [GATEWAY_ADMIN_PORT], namespace=gateway.namespace
            ),
        }
        for role, spec in policies.items():
            network_policy(self, f"{self._name}-{role}", spec, namespace=self._args.namespace, labels=self._labels)

    def _metadata(self, name: str | None = None) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=dict(self._labels))
