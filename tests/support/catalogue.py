"""One example of every component, for the tests that hold all of them to the same rules."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

import components
from components._backups import BackupStore
from components._base import PlatformComponent
from components._cloud import ManagedDatabase
from components._database import DatabaseAccess
from components._network import GatewayPeer, ServicePeer
from components._pipelines.server import ServerImages
from components._pipelines.store import ArtifactStore
from components._quota import Quota
from components._scaling import Measure, Scaler
from components._schema import Sensitive
from components._secrets import SecretSource
from components._workload import Resources
from components.ab_test_definition import AbTestDefinition, AbTestDefinitionArgs
from components.admission_policies import AdmissionPolicies, AdmissionPoliciesArgs
from components.api import Api, ApiArgs, RequestRates
from components.autoscaler import Autoscaler, AutoscalerArgs
from components.cloud_roles import CloudRoles
from components.database_alarms import DatabaseAlarms
from components.database_exporter import DatabaseExporter, DatabaseExporterArgs
from components.disk_class import DiskClass
from components.eks_cluster import EksCluster
from components.encryption_key import EncryptionKey
from components.event_store import EventStore, EventStoreArgs
from components.experiment_controller import ExperimentController, ExperimentControllerArgs
from components.gateway import Gateway, GatewayArgs, HostRoute
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.metadata_db import MetadataDb, MetadataDbArgs
from components.metadata_db_cloudnative import CloudNativeMetadataDb, CloudNativeMetadataDbArgs
from components.metadata_db_managed import ManagedMetadataDb, ManagedMetadataDbArgs
from components.metadata_db_rds import MetadataDbRds
from components.model_server import ModelServer, ModelServerArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.network_vpc import VpcNetwork
from components.node_pool import NodePool
from components.node_provisioner import NodeProvisioner
from components.object_store import ObjectStore, ObjectStoreArgs
from components.object_store_s3 import S3ObjectStore
from components.page_login import LoginIssuer, PageLogin, PageLoginArgs
from components.pipeline_definitions import PipelineDefinitions, PipelineDefinitionsArgs
from components.pipeline_service import PipelineImages, PipelineService, PipelineServiceArgs
from components.platform import MlPlatform, MlPlatformArgs
from components.platform_aws import CloudFoundation
from components.platform_aws_services import ClusterServices
from components.platform_namespace import PlatformNamespace, PlatformNamespaceArgs
from components.prerequisites import GatewayInstallation, Grafana, Prerequisites, PrerequisitesArgs
from components.priority_classes import PriorityClasses, PriorityClassesArgs
from components.public_access import PublicAccess
from components.settings import Settings
from components.spending_budget import SpendingBudget
from components.team import Team, TeamArgs, TeamBucket
from components.team_registry import TeamRegistry, TeamRegistryArgs
from components.tracking_server import BucketAccess, TrackingServer, TrackingServerArgs
from components.traffic_split import TrafficSplit, TrafficSplitArgs
from components.training import Training, TrainingArgs
from components.workload_identity import WorkloadIdentity
from ml.contracts.prerequisites import PREREQUISITES
from tests.support import catalogue_cloud as cloud
from tests.support.recording_monitor import Graph, run

MASTER_SECRET: Final = "the master secret of component tests"
IMAGE: Final = "registry.test/image:1.2.3"
CLIENT_IMAGE: Final = "registry.test/client:4.5.6"
GATEWAY: Final = GatewayPeer(namespace="istio-system", selector={"istio": "ingressgateway"})
DATABASE: Final = DatabaseAccess(secret="db-secret", fingerprint="db1", label="metadata-db")
RESOURCES: Final = Resources(cpu_millis=1500, memory_mib=256, memory_limit_mib=512)


def secrets() -> SecretSource:
    """Return the source of secrets of the examples."""
    return SecretSource(pulumi.Output.secret(MASTER_SECRET))


@dataclass(frozen=True, kw_only=True)
class Example:
    """How to make one component; `instance` tells two of them apart."""

    component: Callable[..., PlatformComponent]
    args: Callable[[str], Any]

    def make(
        self, instance: str, *, opts: pulumi.ResourceOptions | None = None, **changes: object
    ) -> PlatformComponent:
        """Construct the component inside a running program."""
        args = self.args(instance)
        return self.component(instance, type(args)(**{**vars(args), **changes}), opts)


def metadata_db(instance: str) -> MetadataDbArgs:
    return MetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        consumers=("mlflow", "events"),
        observer="exporter",
        storage_gib=7,
        storage_class="fast",
        max_connections=123,
        resources=RESOURCES,
        protect=True,
    )


def cloudnative_metadata_db(instance: str) -> CloudNativeMetadataDbArgs:
    return CloudNativeMetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        consumers=("mlflow", "events"),
        observer="exporter",
        instances=3,
        storage_gib=7,
        wal_storage_gib=2,
        storage_class="fast",
        max_connections=123,
        resources=RESOURCES,
        backups=BackupStore(folder="s3://backups/db", region="eu-west-1"),
        backup_days=21,
        archive=f"{instance}-1",
        restore=None,
        apart=True,
        operator=GatewayPeer(namespace="cnpg-system", selector={"app.kubernetes.io/name": "cloudnative-pg"}),
        protect=True,
    )


def managed_metadata_db(instance: str) -> ManagedMetadataDbArgs:
    return ManagedMetadataDbArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        server=ManagedDatabase(
            kind="rds", host=f"{instance}.example.org", cidrs=("10.8.252.0/24",), authorities=cloud.AUTHORITIES
        ),
        consumers=("mlflow", "events"),
        observer="exporter",
    )


def object_store(instance: str) -> ObjectStoreArgs:
    return ObjectStoreArgs(
        namespace=instance,
        image=IMAGE,
        client_image=CLIENT_IMAGE,
        secrets=secrets(),
        buckets={"mlflow": "mlflow-artifacts", "backup": "backups"},
        gateway=GATEWAY,
        storage_gib=8,
        storage_class=None,
        resources=RESOURCES,
        protect=True,
    )


def tracking_server(instance: str) -> TrackingServerArgs:
    return TrackingServerArgs(
        namespace=instance,
        namespace_name="research",
        image=IMAGE,
        secrets=secrets(),
        database=DATABASE,
        artifacts=BucketAccess(
            secret="bucket-secret",
            bucket="artifacts",
            endpoint="http://s3:9000",
            fingerprint="s31",
            label="object-store",
        ),
        public_host="mlflow.example.org",
        gateway=GATEWAY,
        allowed_hosts=("10.*",),
        workers=3,
        replicas=2,
        cpu_millis=300,
        memory_per_worker_mib=500,
    )


def model_server(instance: str) -> ModelServerArgs:
    return ModelServerArgs(
        namespace=instance,
        model="some_model",
        slots=("stable", "candidate-a"),
        image=IMAGE,
        sync_image=CLIENT_IMAGE,
        registry_url="http://tracking-server:5000",
        registry_label="tracking-server",
        gateway=GATEWAY,
        replicas=2,
        sync_interval_seconds=15,
        storage_mib=1000,
        server_resources=RESOURCES,
        sync_resources=RESOURCES,
    )


def traffic_split(instance: str) -> TrafficSplitArgs:
    return TrafficSplitArgs(
        namespace=instance,
        model=instance.replace("-", "_"),
        slots=("stable", "candidate-a"),
        service="some-model",
        host="ml.example.org",
        gateway_name="platform-gateway",
        gateway_port=80,
        gateway=GATEWAY,
    )


def gateway(instance: str) -> GatewayArgs:
    return GatewayArgs(
        namespace=instance,
        pods=GATEWAY,
        hosts=("mlflow.example.org", "api.example.org"),
        routes=(HostRoute(role="mlflow", host="mlflow.example.org", service="tracking-server", port=5000),),
    )


def experiment_controller(instance: str) -> ExperimentControllerArgs:
    return ExperimentControllerArgs(
        namespace=instance,
        image=IMAGE,
        replicas=2,
        database=DATABASE,
        test_kind="abtests.mlplatform.dev",
        registry_url="http://tracking-server:5000",
        registry_label="tracking-server",
        metrics_url="http://prometheus:9090",
        metrics_label="prometheus",
        gateway=GATEWAY,
        reads_gateway=True,
        split_timeout_seconds=30,
        resources=RESOURCES,
    )


def api(instance: str) -> ApiArgs:
    return ApiArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        database=DATABASE,
        test_kind="abtests.mlplatform.dev",
        public_host="api.example.org",
        gateway=GATEWAY,
        replicas=2,
        metrics_url="http://prometheus:9090",
        metrics_label="prometheus",
        rates=RequestRates(reads=50, writes=10, outcomes=5000),
        oidc=None,
        resources=RESOURCES,
    )


def autoscaler(instance: str) -> AutoscalerArgs:
    return AutoscalerArgs(
        namespace=instance,
        deployment=instance,
        scaler=Scaler(
            name=instance,
            minimum=2,
            maximum=9,
            cpu_percent=70,
            measures=(Measure(name="concurrency", query="sum(some_series)", target=4),),
        ),
        engine="keda",
        metrics_url="http://prometheus.research:9090",
        calm_minutes=10,
    )


def gpu_operator(instance: str) -> GpuOperatorArgs:
    return GpuOperatorArgs(namespace=instance, device_plugin=True, time_slices=4, mig=False)


def monitoring(instance: str) -> MonitoringArgs:
    return MonitoringArgs(
        namespace=instance,
        namespace_name=instance,
        image=IMAGE,
        gateway=GATEWAY,
        proxy="envoy",
        object_store_token="object-store-metrics",
        scrape_interval_seconds=5,
        retention_days=3,
        storage_gib=2,
        storage_class=None,
        resources=RESOURCES,
        protect=True,
    )


def pipeline_service(instance: str) -> PipelineServiceArgs:
    return PipelineServiceArgs(
        namespace=instance,
        namespace_name=instance,
        platform_namespace="research",
        images=PipelineImages(
            servers=ServerImages(
                api=IMAGE,
                agent=IMAGE,
                scheduler=IMAGE,
                driver="registry.test/driver:1.2.3",
                launcher="registry.test/launcher:1.2.3",
            ),
            database=IMAGE,
            metadata=IMAGE,
            metadata_proxy=IMAGE,
            page=IMAGE,
            workflow_controller=IMAGE,
            workflow_executor="registry.test/executor:1.2.3",
        ),
        secrets=secrets(),
        kinds="workflows.argoproj.io",
        store=ArtifactStore(
            access_key="pipelines",
            secret_key=secrets().password("object-store/pipelines"),
            fingerprint="s31",
            bucket="runs",
            peer=ServicePeer(service="s3", namespace="research", selector={"app": "s3"}, port=9000),
        ),
        registry=ServicePeer(service="mlflow", namespace="research", selector={"app": "mlflow"}, port=5000),
        prometheus=ServicePeer(service="prom", namespace="research", selector={"app": "prom"}, port=9090),
        page_front=GATEWAY,
        cache=True,
        replicas=2,
        storage_gib=9,
        storage_class="fast",
        api_resources=RESOURCES,
        database_resources=RESOURCES,
        protect=True,
    )


def team(instance: str) -> TeamArgs:
    return TeamArgs(
        team=instance,
        namespace=instance,
        groups=("researchers",),
        cost_center="42",
        quota=Quota(cpus=4, memory_gib=16, gpus=1, storage_gib=10),
        services=(
            ServicePeer(service="api", namespace="research", selector={"app": "api"}, port=8000),
            ServicePeer(service="object-store", namespace="research", selector={"app": "s3"}, port=9000),
        ),
        platform_namespace="research",
        bucket=TeamBucket(
            access_key=f"team-{instance}",
            secret_key=secrets().password(f"object-store/team-{instance}"),
            bucket=f"team-{instance}",
            endpoint="http://object-store.research:9000",
        ),
        protect=True,
    )


def team_registry(instance: str) -> TeamRegistryArgs:
    return TeamRegistryArgs(
        namespace=instance,
        namespace_name="research",
        team="vision",
        image=IMAGE,
        registry_url="http://tracking-server:5000",
        registry_label="tracking-server",
        replicas=2,
    )


def page_login(instance: str) -> PageLoginArgs:
    return PageLoginArgs(
        namespace=instance,
        image=IMAGE,
        secrets=secrets(),
        issuer=LoginIssuer(
            issuer="https://login.example.org",
            client_id="mlplatform",
            client_secret=pulumi.Output.secret("what only the issuer and the login know"),
            fingerprint="cs1",
            audience="programs",
            groups=("engineers",),
            session_hours=8,
        ),
        host="mlflow.example.org",
        page=ServicePeer(service="mlflow", namespace=instance, selector={"app": "mlflow"}, port=5000),
        gateway=GATEWAY,
        replicas=2,
    )


def prerequisites(instance: str) -> PrerequisitesArgs:
    return PrerequisitesArgs(
        wanted=tuple(name for name, known in PREREQUISITES.items() if known.installable),
        gateway=GatewayInstallation(
            service="istio-ingressgateway", namespace="istio-system", selector=GATEWAY.selector, node_port=30_080
        ),
        grafana=Grafana(
            password=secrets().password("grafana"), metrics_url="http://prometheus:9090", host="grafana.example.org"
        ),
        domain="example.org",
        owner=instance,
        dns_provider="aws",
        nodes_bring_gpu_parts=True,
        replicas=2,
    )


def platform(instance: str) -> MlPlatformArgs:
    settings = Settings(
        master_secret=Sensitive(MASTER_SECRET),
        context="test",
        namespace=f"{instance}-namespace",
        image_registry="registry.test",
    )
    return MlPlatformArgs(settings=settings)


EXAMPLES: Final[Mapping[type[PlatformComponent], Example]] = {
    MlPlatform: Example(component=MlPlatform, args=platform),
    PlatformNamespace: Example(
        component=PlatformNamespace, args=lambda name: PlatformNamespaceArgs(namespace=name, protect=True)
    ),
    MetadataDb: Example(component=MetadataDb, args=metadata_db),
    CloudNativeMetadataDb: Example(component=CloudNativeMetadataDb, args=cloudnative_metadata_db),
    ManagedMetadataDb: Example(component=ManagedMetadataDb, args=managed_metadata_db),
    ObjectStore: Example(component=ObjectStore, args=object_store),
    TrackingServer: Example(component=TrackingServer, args=tracking_server),
    ModelServer: Example(component=ModelServer, args=model_server),
    TrafficSplit: Example(component=TrafficSplit, args=traffic_split),
    Gateway: Example(component=Gateway, args=gateway),
    ExperimentController: Example(component=ExperimentController, args=experiment_controller),
    AbTestDefinition: Example(component=AbTestDefinition, args=lambda _: AbTestDefinitionArgs(protect=True)),
    AdmissionPolicies: Example(
        component=AdmissionPolicies, args=lambda name: AdmissionPoliciesArgs(namespace_name=name, stack="local")
    ),
    EventStore: Example(
        component=EventStore, args=lambda name: EventStoreArgs(namespace=name, image=IMAGE, database=DATABASE)
    ),
    DatabaseExporter: Example(
        component=DatabaseExporter,
        args=lambda name: DatabaseExporterArgs(namespace=name, image=IMAGE, database=DATABASE),
    ),
    Api: Example(component=Api, args=api),
    Autoscaler: Example(component=Autoscaler, args=autoscaler),
    GpuOperator: Example(component=GpuOperator, args=gpu_operator),
    Monitoring: Example(component=Monitoring, args=monitoring),
    PageLogin: Example(component=PageLogin, args=page_login),
    PipelineDefinitions: Example(component=PipelineDefinitions, args=lambda _: PipelineDefinitionsArgs(protect=True)),
    PriorityClasses: Example(component=PriorityClasses, args=lambda name: PriorityClassesArgs(namespace_name=name)),
    PipelineService: Example(component=PipelineService, args=pipeline_service),
    Team: Example(component=Team, args=team),
    TeamRegistry: Example(component=TeamRegistry, args=team_registry),
    Prerequisites: Example(component=Prerequisites, args=prerequisites),
    Training: Example(component=Training, args=lambda name: TrainingArgs(namespace=name)),
    CloudFoundation: Example(component=CloudFoundation, args=cloud.cloud_foundation),
    CloudRoles: Example(component=CloudRoles, args=cloud.cloud_roles),
    ClusterServices: Example(component=ClusterServices, args=cloud.cluster_services),
    DatabaseAlarms: Example(component=DatabaseAlarms, args=cloud.database_alarms),
    DiskClass: Example(component=DiskClass, args=cloud.disk_class),
    EksCluster: Example(component=EksCluster, args=cloud.cluster),
    EncryptionKey: Example(component=EncryptionKey, args=cloud.encryption_key),
    MetadataDbRds: Example(component=MetadataDbRds, args=cloud.metadata_db),
    NodePool: Example(component=NodePool, args=cloud.node_pool),
    NodeProvisioner: Example(component=NodeProvisioner, args=cloud.node_provisioner),
    PublicAccess: Example(component=PublicAccess, args=cloud.public_access),
    S3ObjectStore: Example(component=S3ObjectStore, args=cloud.object_store),
    SpendingBudget: Example(component=SpendingBudget, args=cloud.spending_budget),
    VpcNetwork: Example(component=VpcNetwork, args=cloud.network),
    WorkloadIdentity: Example(component=WorkloadIdentity, args=cloud.workload_identity),
}
ROOTS: Final = {MlPlatform, CloudFoundation, ClusterServices}
"""A stack has one of each; the names of what is in them are fixed by the contract with other parts."""


def declare(build: Callable[[pulumi.ResourceOptions], object], *, preview: bool = False) -> Graph:
    """Run a program that makes one provider of each kind and then what `build` makes with these options."""

    def program() -> None:
        providers: list[pulumi.ProviderResource] = [
            k8s.Provider("cluster", context="test"),
            aws.Provider("aws", region="eu-west-1"),
        ]
        build(pulumi.ResourceOptions(providers=providers))

    return run(program, preview=preview)


def declare_one(
    component: type[PlatformComponent], *, instance: str = "example", preview: bool = False, **changes: object
) -> Graph:
    """Run a program that makes one example, with some of its arguments changed."""
    if not changes:
        return _declare_unchanged(component, instance, preview)
    return declare(lambda opts: EXAMPLES[component].make(instance, opts=opts, **changes), preview=preview)


@functools.cache
def _declare_unchanged(component: type[PlatformComponent], instance: str, preview: bool) -> Graph:
    return declare(lambda opts: EXAMPLES[component].make(instance, opts=opts), preview=preview)


def all_components() -> list[type[PlatformComponent]]:
    """Return every component class of the package."""
    found: set[type[PlatformComponent]] = set()
    for module in pkgutil.iter_modules(components.__path__, "components."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(cls, PlatformComponent) and cls is not PlatformComponent:
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)
