"""Pipelines in the cluster: Kubeflow Pipelines 2.17 with its database, its metadata store and Argo's controller.

Every object is declared here one by one, so that policies see it. What the upstream manifests bring and this leaves
out, because pipelines of the second version need none of it: cache server and deployer (steps are cached by the API),
metadata writer, TensorBoard viewer, drawing server, SeaweedFS (the platform's object store takes its place), and the
separation of users by Kubeflow profiles.

The API has no login. It is reached inside its namespace, and from outside by those whom Kubernetes lets forward a port;
the page exists only where somebody may open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, ServicePeer, network_policy
from components._pipelines import network
from components._pipelines.database import API_USER, METADATA_USER, DatabaseArgs, declare_database
from components._pipelines.metadata import declare_metadata
from components._pipelines.server import ServerArgs, ServerImages, declare_servers
from components._pipelines.site import (
    API_GRPC_PORT,
    METADATA_PORT,
    METADATA_PROXY_SERVICE,
    METADATA_PROXY_STATS_PORT,
    METADATA_SERVICE,
    METRICS_PORT,
    SCHEDULER,
    UI_PORT,
    UI_SERVICE,
    WORKFLOW_CONTROLLER,
    Site,
)
from components._pipelines.store import ArtifactStore, declare_keys
from components._pipelines.ui import PageArgs, declare_page
from components._pipelines.workflows import declare_workflows
from components._scraping import DistantTarget
from components._secrets import SecretSource
from components._workload import Resources
from ml.contracts import PIPELINES_PORT, PIPELINES_SERVICE

_NAME: Final = "pipelines"
PAGE_PORT: Final = UI_PORT


@dataclass(frozen=True, kw_only=True)
class PipelineImages:
    """What the service runs."""

    servers: ServerImages
    database: str
    metadata: str
    metadata_proxy: str
    page: str
    workflow_controller: str
    workflow_executor: str


@dataclass(frozen=True, kw_only=True)
class PipelineServiceArgs:
    """What the pipeline service needs to know."""

    namespace: pulumi.Input[str]
    namespace_name: str
    """The namespace's name as a plain text: addresses contain it."""
    platform_namespace: pulumi.Input[str]
    """Where the object store, the tracking server and Prometheus are, and the policies that let steps reach them."""
    images: PipelineImages
    secrets: SecretSource
    kinds: pulumi.Input[str]
    """Names of the definitions of workflows and schedules; taken so that what watches them starts after them."""
    store: ArtifactStore
    registry: ServicePeer
    """The tracking server, where steps register models."""
    prometheus: ServicePeer
    page_front: GatewayPeer | None
    """Who alone may call the web page, which has no login of its own; None leaves it away."""
    cache: bool
    """Whether a step whose inputs were seen before is skipped."""
    replicas: int
    """Of the workflow controller, of which one leads, and of the page."""
    parallel_runs: int | None
    """How many runs work at a time; None sets no limit."""
    storage_gib: int
    storage_class: str | None
    """None takes the cluster's default class."""
    api_resources: Resources
    database_resources: Resources
    protect: bool
    """Whether the data outlives a deletion of the component, and Pulumi refuses to delete it."""


class PipelineService(PlatformComponent):
    """Kubeflow Pipelines and what it needs."""

    service: pulumi.Output[str]
    """Name of the API's Service."""
    page: pulumi.Output[str] | None
    """Name of the page's Service, if there is a page."""

    def __init__(self, name: str, args: PipelineServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._args = args
        self._site = Site(
            component=self,
            name=name,
            namespace=args.namespace,
            namespace_name=args.namespace_name,
            secrets=args.secrets,
            kinds=args.kinds,
        )
        keys = declare_keys(self._site, self._site.part(PIPELINES_SERVICE, args.images.servers.api), args.store)
        accounts = declare_database(
            self._site,
            DatabaseArgs(
                image=args.images.database,
                storage_gib=args.storage_gib,
                storage_class=args.storage_class,
                resources=args.database_resources,
                protect=args.protect,
            ),
        )
        metadata = declare_metadata(self._site, args.images.metadata, accounts[METADATA_USER])
        declare_workflows(
            self._site,
            image=args.images.workflow_controller,
            executor_image=args.images.workflow_executor,
            store=args.store,
            replicas=args.replicas,
            parallel_runs=args.parallel_runs,
        )
        self.service = declare_servers(
            self._site,
            ServerArgs(
                images=args.images.servers,
                database=accounts[API_USER],
                metadata_service=metadata,
                store=args.store,
                keys=keys,
                cache=args.cache,
                resources=args.api_resources,
            ),
        )
        self.page = self._create_page(keys)
        self._create_policies()
        self.finish(service=self.service, page=self.page)

    @property
    def url(self) -> str:
        """Address of the API, which is known in every namespace."""
        return f"http://{PIPELINES_SERVICE}.{self._args.namespace_name}:{PIPELINES_PORT}"

    def _create_page(self, keys: pulumi.Output[str]) -> pulumi.Output[str] | None:
        args = self._args
        if args.page_front is None:
            return None
        return declare_page(
            self._site,
            PageArgs(
                image=args.images.page,
                proxy_image=args.images.metadata_proxy,
                api=self.service,
                store=args.store,
                keys=keys,
                front=args.page_front,
                replicas=args.replicas,
            ),
        )

    def _create_policies(self) -> None:
        """What steps may reach, what goes to the platform's namespace, and who measures."""
        args, site = self._args, self._site
        api = selector_labels(PIPELINES_SERVICE, site.name)
        metadata = selector_labels(METADATA_SERVICE, site.name)
        for role, server, ports in (
            ("api", api, [PIPELINES_PORT, API_GRPC_PORT]),
            ("metadata", metadata, [METADATA_PORT]),
        ):
            self._policy(f"steps-to-{role}", network.steps_call(server, ports))
            self._policy(f"{role}-from-steps", network.called_by_steps(server, ports))
        store_clients = [network.steps(), network.pods(api)]
        if args.page_front is not None:
            store_clients.append(network.pods(selector_labels(UI_SERVICE, site.name)))
        self._open("store", args.store.peer, store_clients)
        self._open("registry", args.registry, [network.steps()])
        prometheus = network.pods(args.prometheus.selector)
        for target in scraped(site.name, page=args.page_front is not None):
            spec = network.called_from_abroad(
                target.selector, [target.port], clients=[prometheus], namespace=args.prometheus.namespace
            )
            self._policy(f"{target.job}-measured", spec)

    def _open(self, role: str, server: ServicePeer, clients: Sequence[k8s.meta.v1.LabelSelectorArgs]) -> None:
        """Let clients of this namespace reach a service of the platform: both halves of the permission."""
        for number, client in enumerate(clients, start=1):
            self._policy(f"{number}-to-{role}", network.calls_abroad(client, server))
        spec = network.called_from_abroad(
            server.selector, [server.port], clients=clients, namespace=self._args.namespace_name
        )
        self._policy(f"to-{role}", spec, namespace=self._args.platform_namespace)

    def _policy(
        self,
        role: str,
        spec: k8s.networking.v1.NetworkPolicySpecArgs,
        *,
        namespace: pulumi.Input[str] | None = None,
    ) -> None:
        name = self._site.name
        where = self._args.namespace if namespace is None else namespace
        network_policy(self, f"{name}-{role}", spec, namespace=where, labels=object_labels(_NAME, name))


def scraped(name: str, *, page: bool) -> tuple[DistantTarget, ...]:
    """Return what Prometheus reads of the pipeline service `name`."""

    def target(job: str, role: str, port: int, path: str = "/metrics", drop: str | None = None) -> DistantTarget:
        return DistantTarget(job=job, selector=selector_labels(role, name), port=port, path=path, drop=drop)

    targets = [
        # One series per run, for ever: the workflow controller counts runs without that.
        target("pipelines-api", PIPELINES_SERVICE, PIPELINES_PORT, drop="resource_manager_workflow_runs_.*"),
        target("pipelines-scheduler", SCHEDULER, METRICS_PORT),
        target("workflow-controller", WORKFLOW_CONTROLLER, METRICS_PORT),
    ]
    if page:
        stats = target(
            "pipelines-metadata-proxy", METADATA_PROXY_SERVICE, METADATA_PROXY_STATS_PORT, "/stats/prometheus"
        )
        targets.append(stats)
    return tuple(targets)
