"""Runs the experiment controller, the only writer of the weights between the slots of a model."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels, selector_labels
from components._network import allow_kubernetes_api
from components._workload import (
    TMP_DIR,
    Resources,
    container,
    env,
    env_from_field,
    http_probe,
    pod_template,
    scratch_volume,
)

_NAME = "experiment-controller"
_HEALTH_PORT = 8080
_ISTIO_GROUP = "networking.istio.io"
_VERBS = ("get", "list", "watch", "create", "patch")


@dataclass(frozen=True, kw_only=True)
class ExperimentControllerArgs:
    """What the controller needs to know."""

    namespace: pulumi.Input[str]
    image: str
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
        account = self._create_account()
        self.deployment = self._create_deployment(account)
        k8s.networking.v1.NetworkPolicy(
            f"{name}-api-access",
            metadata=self._metadata(),
            spec=allow_kubernetes_api(self._selector),
            opts=self.child(),
        )
        self.finish(deployment=self.deployment)

    def _create_account(self) -> pulumi.Output[str]:
        """A service account that may read and write routes of this namespace, but neither delete nor see anything."""
        account = k8s.core.v1.ServiceAccount(
            self._name,
            metadata=self._metadata(self._name),
            automount_service_account_token=False,
            opts=self.child(),
        )
        role = k8s.rbac.v1.Role(
            f"{self._name}-role",
            metadata=self._metadata(),
            rules=[
                k8s.rbac.v1.PolicyRuleArgs(api_groups=[_ISTIO_GROUP], resources=["virtualservices"], verbs=list(_VERBS))
            ],
            opts=self.child(),
        )
        k8s.rbac.v1.RoleBinding(
            f"{self._name}-binding",
            metadata=self._metadata(),
            role_ref=k8s.rbac.v1.RoleRefArgs(
                api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name
            ),
            subjects=[
                k8s.rbac.v1.SubjectArgs(
                    kind="ServiceAccount", name=account.metadata.name, namespace=self._args.namespace
                )
            ],
            opts=self.child(),
        )
        return account.metadata.name

    def _create_deployment(self, account: pulumi.Output[str]) -> pulumi.Output[str]:
        args = self._args
        controller = container(
            "controller",
            args.image,
            args.resources,
            command=["python3", "-m", "ml.controller"],
            env=[
                env_from_field("NAMESPACE", "metadata.namespace"),
                env("SPLIT_TIMEOUT_SECONDS", str(args.split_timeout_seconds)),
                env("HEALTH_PORT", str(_HEALTH_PORT)),
                env("HOME", TMP_DIR),
            ],
            ports={"http-health": _HEALTH_PORT},
            mounts={TMP_DIR: "tmp"},
            startup=http_probe("/healthz", "http-health", period_seconds=2, failures=60),
            readiness=http_probe("/healthz", "http-health", period_seconds=5),
            liveness=http_probe("/healthz", "http-health", period_seconds=10, failures=6),
        )
        template = pod_template(
            [controller],
            labels=self._labels,
            service_account=account,
            volumes=[scratch_volume("tmp", 64)],
        )
        deployment = k8s.apps.v1.Deployment(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=1,
                # Two controllers at once would be two writers of one field.
                strategy=k8s.apps.v1.DeploymentStrategyArgs(type="Recreate"),
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(),
        )
        return deployment.metadata.name

    def _metadata(self, name: str | None = None) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=self._labels)
