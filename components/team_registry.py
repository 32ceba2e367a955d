"""A team's way to the registry: a proxy that writes the team's workspace into every request.

The registry keeps workspaces apart but believes whoever names one. So teams reach it through this alone, and network
policies say which team reaches which proxy. It runs in the platform's namespace, where teams have no rights.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._disruption import disruption_budget
from components._labels import object_labels, selector_labels
from components._network import ServicePeer
from components._workload import TMP_DIR, Resources, container, env, http_probe, pod_template, scratch_volume
from ml.contracts import TEAM_LABEL, TEAM_REGISTRY, TEAM_REGISTRY_PORT, access_label

_RESOURCES = Resources(cpu_millis=20, memory_mib=96, memory_limit_mib=256)


@dataclass(frozen=True, kw_only=True)
class TeamRegistryArgs:
    """Whose way it is, and where it leads."""

    namespace: pulumi.Input[str]
    namespace_name: str
    """The namespace's name as a plain text."""
    team: str
    """Also the name of its workspace."""
    image: str
    registry_url: str
    registry_label: str
    """Name of the registry, whose access label the pods carry."""
    replicas: int


class TeamRegistry(PlatformComponent):
    """The proxy of one team."""

    service: pulumi.Output[str]

    def __init__(self, name: str, args: TeamRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._selector = selector_labels(TEAM_REGISTRY, name)
        self._labels = {**object_labels(TEAM_REGISTRY, name, args.image), TEAM_LABEL: args.team}
        service = k8s.core.v1.Service(
            name,
            metadata=self._metadata(),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[k8s.core.v1.ServicePortArgs(name="http", port=TEAM_REGISTRY_PORT, target_port="http")],
            ),
            opts=self.child(),
        )
        self.service = service.metadata.name.apply(str)
        self._create_deployment()
        if args.replicas > 1:
            disruption_budget(self, name, args.namespace, self._labels, self._selector)
        self.finish(service=self.service)

    @property
    def url(self) -> str:
        """Address, which is known in every namespace."""
        return f"http://{self._name}.{self._args.namespace_name}:{TEAM_REGISTRY_PORT}"

    @property
    def peer(self) -> ServicePeer:
        """The service, and the pods behind it."""
        return ServicePeer(
            service=TEAM_REGISTRY,
            namespace=self._args.namespace_name,
            selector=self._selector,
            port=TEAM_REGISTRY_PORT,
        )

    def _create_deployment(self) -> None:
        args = self._args
        server = container(
            "server",
            args.image,
            _RESOURCES,
            command=["python3", "-m", "ml.workspaces"],
            env=[
                env("REGISTRY_URL", args.registry_url),
                env("WORKSPACE", args.team),
                env("PORT", str(TEAM_REGISTRY_PORT)),
                env("HOME", TMP_DIR),
            ],
            ports={"http": TEAM_REGISTRY_PORT},
            mounts={TMP_DIR: "tmp"},
            startup=http_probe("/healthz", "http", period_seconds=2, failures=60),
            readiness=http_probe("/readyz", "http", period_seconds=5),
            liveness=http_probe("/healthz", "http", period_seconds=10, failures=6),
        )
        template = pod_template(
            [server],
            labels={**self._labels, **access_label(args.registry_label)},
            volumes=[scratch_volume("tmp", 64)],
            spread=self._selector if args.replicas > 1 else None,
        )
        k8s.apps.v1.Deployment(
            self._name,
            metadata=self._metadata(),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(),
        )

    def _metadata(self) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=self._name, namespace=self._args.namespace, labels=self._labels)
