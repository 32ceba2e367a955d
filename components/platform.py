"""The whole platform: makes every component from the settings, connects them, and orders the few that must wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components import _versions
from components._base import PlatformComponent
from components._cloud import CloudParts
from components._network import GatewayPeer
from components._scraping import GatewayProxy
from components._secrets import SecretSource
from components.ab_test_definition import AbTestDefinition, AbTestDefinitionArgs
from components.admission_policies import AdmissionPolicies, AdmissionPoliciesArgs
from components.api import Api, ApiArgs, OidcIssuer, RequestRates
from components.database_exporter import DatabaseExporter, DatabaseExporterArgs
from components.event_store import EventStore, EventStoreArgs
from components.experiment_controller import ExperimentController, ExperimentControllerArgs
from components.gateway import Gateway, GatewayArgs, HostRoute
from components.model_server import ModelServer, ModelServerArgs
from components.monitoring import Monitoring, MonitoringArgs
from components.object_store import ObjectStore, ObjectStoreArgs
from components.pipeline_service import PipelineService
from components.platform_database import EVENTS, MLFLOW, OBSERVER, access_of, create_metadata_db
from components.platform_namespace import PlatformNamespace, PlatformNamespaceArgs
from components.platform_outputs import stack_outputs
from components.platform_pipelines import (
    PAGE_ROLE,
    Surroundings,
    create_pipeline_namespace,
    create_pipelines,
    measured,
    page_roles,
    page_routes,
    pipeline_buckets,
)
from components.settings import ModelSettings, Settings
from components.tracking_server import BucketAccess, CloudBucket, TrackingServer, TrackingServerArgs
from components.traffic_split import TrafficSplit, TrafficSplitArgs
from components.training import Training, TrainingArgs
from ml.contracts import (
    API_PORT,
    API_SERVICE,
    DATABASE_EXPORTER,
    EXPERIMENT_CONTROLLER,
    GATEWAY_NAME,
    MLFLOW_PORT,
    OBJECT_STORE_SERVICE,
    PROMETHEUS_SERVICE,
    S3_CONSOLE_PORT,
    TRACKING_SERVER_SERVICE,
    kube_name,
)

_MLFLOW_BUCKET = "mlflow-artifacts"
_API_PATHS = "/ml/"
"""What of the API is public: neither its metrics nor its probes."""


@dataclass(frozen=True, kw_only=True)
class MlPlatformArgs:
    """What makes one platform differ from another: its settings."""

    settings: Settings
    cloud: CloudParts | None = None
    """What the stack has made of the cloud's own services instead of pods."""


class MlPlatform(PlatformComponent):
    """Every component of the platform."""

    outputs: Mapping[str, Any]
    """The stack's outputs: every address and name that later commands need, and names of Secrets, never secrets."""

    def __init__(self, name: str, args: MlPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._settings, self._cloud = args.settings, args.cloud
        self._secrets = SecretSource(pulumi.Output.secret(args.settings.master_secret.reveal()))
        gateway = args.settings.gateway
        self._peer = GatewayPeer(namespace=gateway.namespace, selector=gateway.selector)
        self._hosts = hosts(args.settings)
        self._buckets = {MLFLOW: _MLFLOW_BUCKET, **pipeline_buckets(args.settings)}
        self.namespace = PlatformNamespace(
            "platform-namespace",
            PlatformNamespaceArgs(namespace=args.settings.namespace, protect=args.settings.protect_data),
            self.child(),
        )
        self.admission = self._create_admission_policies()
        self._pipeline_namespace = create_pipeline_namespace(args.settings, self.child())
        self.metadata_db = create_metadata_db(
            args.settings,
            self.namespace.namespace,
            self._secrets,
            args.cloud.database if args.cloud else None,
            self.child(),
        )
        self.object_store = self._create_object_store() if args.settings.object_store.kind == "minio" else None
        self.tracking_server = self._create_tracking_server()
        self.event_store = self._create_event_store()
        self.test_definition = AbTestDefinition(
            "ab-tests", AbTestDefinitionArgs(protect=args.settings.protect_data), self.child()
        )
        self.database_exporter = self._create_database_exporter()
        self.monitoring = self._create_monitoring()
        self.api = self._create_api()
        self.pipelines = self._create_pipelines(self._pipeline_namespace) if self._pipeline_namespace else None
        self.gateway = self._create_gateway()
        self.models = {model.name: self._create_model(model) for model in args.settings.models}
        self.controller = self._create_controller()
        self.training = Training("training", TrainingArgs(namespace=self.namespace.namespace), self.child())
        self.outputs = stack_outputs(self, args.settings, self._hosts, self._buckets, args.cloud)
        self.finish(**self.outputs)

    def _create_admission_policies(self) -> AdmissionPolicies | None:
        if not self._settings.admission_policies:
            return None
        return AdmissionPolicies(
            "admission-policies",
            AdmissionPoliciesArgs(namespace_name=self._settings.namespace, stack=pulumi.get_stack()),
            self.child(),
        )

    def _create_object_store(self) -> ObjectStore:
        settings = self._settings
        return ObjectStore(
            OBJECT_STORE_SERVICE,
            ObjectStoreArgs(
                namespace=self.namespace.namespace,
                image=settings.image(_versions.MINIO),
                client_image=settings.image(_versions.MINIO_CLIENT),
                secrets=self._secrets,
                buckets=self._buckets,
                gateway=self._peer,
                storage_gib=settings.object_store.storage_gib,
                storage_class=settings.storage_class,
                resources=settings.object_store.resources,
                protect=settings.protect_data,
            ),
            self.child(),
        )

    def _create_tracking_server(self) -> TrackingServer:
        settings = self._settings
        return TrackingServer(
            TRACKING_SERVER_SERVICE,
            TrackingServerArgs(
                namespace=self.namespace.namespace,
                namespace_name=settings.namespace,
                image=settings.image(_versions.MLFLOW),
                secrets=self._secrets,
                database=access_of(self.metadata_db, MLFLOW),
                artifacts=self._artifacts(),
                public_host=self._hosts["mlflow"],
                gateway=self._peer,
                allowed_hosts=settings.tracking_server.allowed_hosts,
                workers=settings.tracking_server.workers,
                replicas=settings.tracking_server.replicas,
                cpu_millis=settings.tracking_server.cpu_millis,
                memory_per_worker_mib=settings.tracking_server.memory_per_worker_mib,
            ),
            # The gate: its database, its bucket and the users of both exist before MLflow first asks for them.
            self.child(depends_on=[part for part in (self.metadata_db, self.object_store) if part is not None]),
        )

    def _artifacts(self) -> BucketAccess | CloudBucket:
        if self.object_store is None:
            bucket = cast("CloudParts", self._cloud).bucket
            return CloudBucket(bucket=bucket.name, region=bucket.region)
        return BucketAccess(
            secret=self.object_store.consumer_secrets[MLFLOW],
            bucket=_MLFLOW_BUCKET,
            endpoint=self.object_store.endpoint,
            fingerprint=self.object_store.consumer_fingerprint(MLFLOW),
            label=OBJECT_STORE_SERVICE,
        )

    def _create_event_store(self) -> EventStore:
        return EventStore(
            "event-store",
            EventStoreArgs(
                namespace=self.namespace.namespace,
                image=self._settings.image(_versions.ML),
                database=access_of(self.metadata_db, EVENTS),
            ),
            # The gate: its database and user exist before the schema is made.
            self.child(depends_on=[self.metadata_db]),
        )

    def _create_database_exporter(self) -> DatabaseExporter:
        return DatabaseExporter(
            DATABASE_EXPORTER,
            DatabaseExporterArgs(
                namespace=self.namespace.namespace,
                image=self._settings.image(_versions.POSTGRES_EXPORTER),
                database=access_of(self.metadata_db, OBSERVER),
            ),
            self.child(),
        )

    def _create_monitoring(self) -> Monitoring:
        settings = self._settings
        monitoring = settings.monitoring
        return Monitoring(
            PROMETHEUS_SERVICE,
            MonitoringArgs(
                namespace=self.namespace.namespace,
                namespace_name=settings.namespace,
                image=settings.image(_versions.PROMETHEUS),
                gateway=self._peer,
                proxy=cast("GatewayProxy", settings.gateway.proxy),
                object_store_token=self.object_store and self.object_store.metrics_secret,
                scrape_interval_seconds=monitoring.scrape_interval_seconds,
                retention_days=monitoring.retention_days,
                storage_gib=monitoring.storage_gib,
                storage_class=settings.storage_class,
                resources=monitoring.resources,
                protect=settings.protect_data,
                elsewhere=measured(settings, self._pipeline_namespace),
            ),
            self.child(),
        )

    def _create_api(self) -> Api:
        settings = self._settings.api
        oidc = settings.oidc
        return Api(
            API_SERVICE,
            ApiArgs(
                namespace=self.namespace.namespace,
                image=self._settings.image(_versions.ML),
                secrets=self._secrets,
                database=self.event_store.access,
                test_kind=self.test_definition.kind,
                public_host=self._hosts["api"],
                gateway=self._peer,
                replicas=settings.replicas,
                metrics_url=self.monitoring.url,
                metrics_label=PROMETHEUS_SERVICE,
                rates=RequestRates(
                    reads=settings.reads_per_second,
                    writes=settings.writes_per_second,
                    outcomes=settings.outcomes_per_second,
                ),
                oidc=oidc
                and OidcIssuer(
                    issuer=oidc.issuer, audience=oidc.audience, keys_url=oidc.keys_url, scope_claim=oidc.scope_claim
                ),
                resources=settings.resources,
            ),
            self.child(),
        )

    def _create_gateway(self) -> Gateway:
        return Gateway(
            GATEWAY_NAME,
            GatewayArgs(
                namespace=self.namespace.namespace,
                pods=self._peer,
                hosts=tuple(self._hosts.values()),
                routes=(
                    HostRoute(
                        role="mlflow",
                        host=self._hosts["mlflow"],
                        service=self.tracking_server.service,
                        port=MLFLOW_PORT,
                    ),
                    *self._console_routes(),
                    HostRoute(
                        role="api",
                        host=self._hosts["api"],
                        service=self.api.service,
                        port=API_PORT,
                        prefix=_API_PATHS,
                    ),
                    *page_routes(self._settings, self.pipelines, self._hosts.get(PAGE_ROLE)),
                ),
            ),
            self.child(),
        )

    def _console_routes(self) -> list[HostRoute]:
        store = self.object_store
        if store is None:
            return []
        return [HostRoute(role="minio", host=self._hosts["minio"], service=store.service, port=S3_CONSOLE_PORT)]

    def _create_pipelines(self, namespace: PlatformNamespace) -> PipelineService:
        # The settings refuse the service where the cloud's own store is used.
        store = cast("ObjectStore", self.object_store)
        return create_pipelines(
            self._settings,
            Surroundings(
                platform_namespace=self.namespace.namespace,
                namespace=namespace.namespace,
                secrets=self._secrets,
                object_store=store,
                gateway=self._peer,
                page_host=self._hosts.get(PAGE_ROLE),
            ),
            self.child(),
            # The gate: the bucket and its user exist before the API first asks for them.
            self.child(depends_on=[store]),
        )

    def _create_model(self, model: ModelSettings) -> tuple[ModelServer, TrafficSplit]:
        serving = self._settings.model_server
        server = ModelServer(
            kube_name(model.name),
            ModelServerArgs(
                namespace=self.namespace.namespace,
                model=model.name,
                slots=model.slots,
                image=self._settings.serving_image,
                sync_image=self._settings.image(_versions.ML),
                registry_url=self.tracking_server.url,
                registry_label=TRACKING_SERVER_SERVICE,
                gateway=self._peer,
                replicas=serving.replicas,
                sync_interval_seconds=serving.sync_interval_seconds,
                storage_mib=serving.storage_mib,
                server_resources=serving.resources,
                sync_resources=serving.sync_resources,
            ),
            self.child(),
        )
        split = TrafficSplit(
            f"{kube_name(model.name)}-traffic",
            TrafficSplitArgs(
                namespace=self.namespace.namespace,
                model=model.name,
                slots=model.slots,
                service=server.service,
                host=self._hosts["ml"],
                gateway_name=self.gateway.gateway,
                gateway=self._peer,
            ),
            self.child(),
        )
        return server, split

    def _create_controller(self) -> ExperimentController:
        settings = self._settings
        return ExperimentController(
            EXPERIMENT_CONTROLLER,
            ExperimentControllerArgs(
                namespace=self.namespace.namespace,
                image=settings.image(_versions.ML),
                replicas=settings.controller.replicas,
                database=self.event_store.access,
                test_kind=self.test_definition.kind,
                registry_url=self.tracking_server.url,
                registry_label=TRACKING_SERVER_SERVICE,
                metrics_url=self.monitoring.url,
                metrics_label=PROMETHEUS_SERVICE,
                gateway=self._peer,
                reads_gateway=settings.gateway.proxy == "envoy",
                split_timeout_seconds=settings.controller.split_timeout_seconds,
                resources=settings.controller.resources,
            ),
            self.child(),
        )


def hosts(settings: Settings) -> dict[str, str]:
    """Return the host of every role that the platform answers to."""
    consoles = ("minio",) if settings.object_store.kind == "minio" else ()
    return {role: f"{role}.{settings.domain}" for role in ("mlflow", *consoles, "ml", "api", *page_roles(settings))}
