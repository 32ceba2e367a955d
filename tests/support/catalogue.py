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
from components._base import PlatformComponent
from components._schema import Sensitive
from components.ab_test_definition import AbTestDefinition, AbTestDefinitionArgs
from components.admission_policies import AdmissionPolicies, AdmissionPoliciesArgs
from components.api import Api
from components.autoscaler import Autoscaler
from components.cloud_roles import CloudRoles
from components.database_alarms import DatabaseAlarms
from components.database_exporter import DatabaseExporter, DatabaseExporterArgs
from components.disk_class import DiskClass
from components.eks_cluster import EksCluster
from components.encryption_key import EncryptionKey
from components.event_store import EventStore, EventStoreArgs
from components.experiment_controller import ExperimentController
from components.gateway import Gateway
from components.gpu_operator import GpuOperator
from components.metadata_db import MetadataDb
from components.metadata_db_cloudnative import CloudNativeMetadataDb
from components.metadata_db_managed import ManagedMetadataDb
from components.metadata_db_rds import MetadataDbRds
from components.model_server import ModelServer
from components.monitoring import Monitoring
from components.network_vpc import VpcNetwork
from components.node_pool import NodePool
from components.node_provisioner import NodeProvisioner
from components.object_store import ObjectStore
from components.object_store_s3 import S3ObjectStore
from components.page_login import PageLogin
from components.pipeline_definitions import PipelineDefinitions, PipelineDefinitionsArgs
from components.pipeline_service import PipelineService
from components.platform import MlPlatform, MlPlatformArgs
from components.platform_aws import CloudFoundation
from components.platform_aws_services import ClusterServices
from components.platform_namespace import PlatformNamespace, PlatformNamespaceArgs
from components.prerequisites import Prerequisites
from components.priority_classes import PriorityClasses, PriorityClassesArgs
from components.public_access import PublicAccess
from components.settings import Settings
from components.spending_budget import SpendingBudget
from components.team import Team
from components.team_registry import TeamRegistry
from components.tracking_server import TrackingServer
from components.traffic_split import TrafficSplit
from components.training import Training, TrainingArgs
from components.workload_identity import WorkloadIdentity
from tests.support import catalogue_cloud as cloud
from tests.support import catalogue_cluster as cluster
from tests.support import catalogue_stores as stores
from tests.support.catalogue_values import DATABASE, IMAGE, MASTER_SECRET
from tests.support.recording_monitor import Graph, run


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
    MetadataDb: Example(component=MetadataDb, args=stores.metadata_db),
    CloudNativeMetadataDb: Example(component=CloudNativeMetadataDb, args=stores.cloudnative_metadata_db),
    ManagedMetadataDb: Example(component=ManagedMetadataDb, args=stores.managed_metadata_db),
    ObjectStore: Example(component=ObjectStore, args=stores.object_store),
    TrackingServer: Example(component=TrackingServer, args=stores.tracking_server),
    ModelServer: Example(component=ModelServer, args=cluster.model_server),
    TrafficSplit: Example(component=TrafficSplit, args=cluster.traffic_split),
    Gateway: Example(component=Gateway, args=cluster.gateway),
    ExperimentController: Example(component=ExperimentController, args=cluster.experiment_controller),
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
    Api: Example(component=Api, args=cluster.api),
    Autoscaler: Example(component=Autoscaler, args=cluster.autoscaler),
    GpuOperator: Example(component=GpuOperator, args=cluster.gpu_operator),
    Monitoring: Example(component=Monitoring, args=cluster.monitoring),
    PageLogin: Example(component=PageLogin, args=cluster.page_login),
    PipelineDefinitions: Example(component=PipelineDefinitions, args=lambda _: PipelineDefinitionsArgs(protect=True)),
    PriorityClasses: Example(component=PriorityClasses, args=lambda name: PriorityClassesArgs(namespace_name=name)),
    PipelineService: Example(component=PipelineService, args=cluster.pipeline_service),
    Team: Example(component=Team, args=cluster.team),
    TeamRegistry: Example(component=TeamRegistry, args=cluster.team_registry),
    Prerequisites: Example(component=Prerequisites, args=cluster.prerequisites),
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
