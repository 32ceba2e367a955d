"""What all parts of the pipeline service share: where they run, how they are called, and how a server is declared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right, grant
from components._base import PlatformComponent
from components._disruption import disruption_budget
from components._labels import object_labels, selector_labels
from components._network import offer_service
from components._secrets import SecretSource
from components._workload import pod_template
from ml.contracts import LABEL_DOMAIN, access_label

# Names of Services that the images have built in, so they are not ours to choose.
METADATA_SERVICE: Final = "metadata-grpc-service"
METADATA_PROXY_SERVICE: Final = "metadata-envoy-service"
UI_SERVICE: Final = "ml-pipeline-ui"

DATABASE: Final = "mysql"
AGENT: Final = "ml-pipeline-persistenceagent"
SCHEDULER: Final = "ml-pipeline-scheduledworkflow"
WORKFLOW_CONTROLLER: Final = "workflow-controller"
RUNNER: Final = "pipeline-runner"
"""The account that steps run as."""

DATABASE_PORT: Final = 3306
METADATA_PORT: Final = 8080
METADATA_PROXY_PORT: Final = 9090
METADATA_PROXY_STATS_PORT: Final = 9902
API_GRPC_PORT: Final = 8887
UI_PORT: Final = 3000
METRICS_PORT: Final = 9090

ARTIFACT_SECRET: Final = "mlpipeline-minio-artifact"  # noqa: S105 a name that the launcher falls back to
ARTIFACT_KEYS: Final = ("accesskey", "secretkey")
LAUNCHER_CONFIG: Final = "kfp-launcher"
STEP_LABEL: Final = "workflows.argoproj.io/workflow"
"""On every pod that the workflow controller makes, and put there by nobody else."""
TOKEN_AUDIENCE: Final = "pipelines.kubeflow.org"  # noqa: S105 an audience


@dataclass(frozen=True, kw_only=True)
class Part:
    """One server of the service: its name and the labels that go with it."""

    role: str
    """Name of its Deployment or StatefulSet, and of its Service and account where it has one."""
    image: str
    instance: str
    """Name of the component that it belongs to."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its objects."""
        return object_labels(self.role, self.instance, self.image)

    @property
    def selector(self) -> dict[str, str]:
        """The labels that select its pods."""
        return selector_labels(self.role, self.instance)


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the parts are declared."""

    component: PlatformComponent
    name: str
    """Name of the component, with which the names of all resources start."""
    namespace: pulumi.Input[str]
    namespace_name: str
    """The namespace's name as a plain text: addresses contain it."""
    secrets: SecretSource
    kinds: pulumi.Input[str]
    """Names of the definitions of workflows and schedules; taken so that what watches them starts after them."""

    def part(self, role: str, image: str) -> Part:
        """Return one server of the service."""
        return Part(role=role, image=image, instance=self.name)

    def metadata(self, part: Part, name: str | None = None) -> k8s.meta.v1.ObjectMetaArgs:
        """Return the metadata of an object of a part; without `name` Pulumi makes one."""
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self.namespace, labels=part.labels)

    def purpose(self, role: str) -> str:
        """Return the purpose under which a password of the service is derived."""
        return f"{self.name}/{role}"

    def service(self, part: Part, name: str, ports: Mapping[str, int]) -> pulumi.Output[str]:
        """Declare a Service; what takes its name from here comes after its first ready pod."""
        service = k8s.core.v1.Service(
            f"{self.name}-{part.role}",
            metadata=self.metadata(part, name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=part.selector,
                ports=[
                    k8s.core.v1.ServicePortArgs(name=port_name, port=port, target_port=port_name)
                    for port_name, port in ports.items()
                ],
            ),
            opts=self.component.child(),
        )
        return service.metadata.name.apply(str)

    def config(self, part: Part, role: str, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        """Declare a ConfigMap that only this part reads; its name changes with its content."""
        config = k8s.core.v1.ConfigMap(
            f"{self.name}-{role}", metadata=self.metadata(part), data=dict(data), opts=self.component.child()
        )
        return config.metadata.name.apply(str)

    def known_config(self, part: Part, name: str, data: Mapping[str, pulumi.Input[str]]) -> None:
        """Declare a ConfigMap that programs look for under a name that is not ours to choose."""
        k8s.core.v1.ConfigMap(
            f"{self.name}-{name}", metadata=self.metadata(part, name), data=dict(data), opts=self.component.child()
        )

    def secret(self, part: Part, name: str, data: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        """Declare a Secret."""
        secret = k8s.core.v1.Secret(
            f"{self.name}-{name}",
            metadata=self.metadata(part, name),
            string_data=dict(data),
            opts=self.component.child(),
        )
        return secret.metadata.name.apply(str)

    def account(self, part: Part, name: str, rights: Sequence[Right]) -> pulumi.Output[str]:
        """Declare an account with these rights in the namespace; return its name."""
        account = k8s.core.v1.ServiceAccount(
            f"{self.name}-{name}",
            metadata=self.metadata(part, name),
            automount_service_account_token=False,
            opts=self.component.child(),
        )
        grant(
            self.component,
            f"{self.name}-{name}",
            account=account.metadata.name.apply(str),
            account_namespace=self.namespace,
            namespace=self.namespace,
            labels=part.labels,
            rights=rights,
        )
        return account.metadata.name.apply(str)

    def policy(self, part: Part, role: str, spec: k8s.networking.v1.NetworkPolicySpecArgs) -> None:
        """Declare a network policy about a part."""
        k8s.networking.v1.NetworkPolicy(
            f"{self.name}-{part.role}-{role}",
            metadata=self.metadata(part),
            spec=spec,
            opts=self.component.child(),
        )

    def offer(self, part: Part, ports: Sequence[int]) -> None:
        """Let those pods of the namespace reach a part that say they use it."""
        offer_service(
            self.component,
            f"{self.name}-{part.role}",
            namespace=self.namespace,
            labels=part.labels,
            selector=part.selector,
            ports=ports,
        )

    def deployment(
        self,
        part: Part,
        containers: Sequence[k8s.core.v1.ContainerArgs],
        *,
        volumes: Sequence[k8s.core.v1.VolumeArgs],
        account: pulumi.Input[str] | None = None,
        uses: Sequence[str] = (),
        annotations: Mapping[str, pulumi.Input[str]] | None = None,
        replicas: int = 1,
        watches_kinds: bool = False,
    ) -> None:
        """Declare a Deployment whose pods may reach the parts `uses`, and its budget if it has several pods."""
        template = pod_template(
            containers,
            labels={**part.labels, **self._access(uses)},
            annotations=annotations,
            volumes=volumes,
            service_account=account,
            spread=part.selector if replicas > 1 else None,
        )
        metadata = self.metadata(part, part.role)
        if watches_kinds:
            metadata.annotations = {f"{LABEL_DOMAIN}/kinds": self.kinds}
        k8s.apps.v1.Deployment(
            f"{self.name}-{part.role}",
            metadata=metadata,
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=part.selector),
                template=template,
            ),
            opts=self.component.child(),
        )
        if replicas > 1:
            disruption_budget(self.component, f"{self.name}-{part.role}", self.namespace, part.labels, part.selector)

    def _access(self, roles: Sequence[str]) -> dict[str, str]:
        return {key: value for role in roles for key, value in access_label(f"{self.name}-{role}").items()}


def fingerprint(content: Mapping[str, str]) -> str:
    """Return a text that changes when the content does; on a pod template it makes pods read it anew."""
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()[:12]


def config_volume(name: str, config: pulumi.Input[str]) -> k8s.core.v1.VolumeArgs:
    """Return a volume with one file per key of a ConfigMap."""
    return k8s.core.v1.VolumeArgs(name=name, config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=config))


def token_volume(name: str, file: str) -> k8s.core.v1.VolumeArgs:
    """Return a volume with the pod's own token for the pipelines API, which Kubernetes renews every hour."""
    token = k8s.core.v1.ServiceAccountTokenProjectionArgs(path=file, expiration_seconds=3600, audience=TOKEN_AUDIENCE)
    return k8s.core.v1.VolumeArgs(
        name=name,
        projected=k8s.core.v1.ProjectedVolumeSourceArgs(
            sources=[k8s.core.v1.VolumeProjectionArgs(service_account_token=token)]
        ),
    )
