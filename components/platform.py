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
from components.platform_access import (
    CONSOLE_PAGE,
    MLFLOW_PAGE,
    PIPELINES_PAGE,
    Inside,
    certificate_issuer,
    create_logins,
    front_of,
    gateway_port,
    hosts,
    page_routes,
)
from components.platform_database import (
    EVENTS,
    MLFLOW,
    OBSERVER,
    access_of,
    backup_buckets,
    create_metadata_db,
    measured_servers,
    operators,
)
from components.platform_gpus import arrange_gpus
from components.platform_namespace import PlatformNamespace, PlatformNamespaceArgs
from components.platform_outputs import stack_outputs
from components.platform_pipelines import (
    Surroundings,
    create_pipeline_namespace,
    create_pipelines,
    measured,
    pipeline_buckets,
)
from components.platform_prerequisites import metrics_reader
from components.platform_scaling import asking, create_autoscalers, measured_scaling, scalers, slot_deployments
from components.platform_teams import TeamSurroundings, create_teams, team_buckets
from components.priority_classes import PriorityClasses, PriorityClassesArgs
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
    OBJECT_STORE_SERVICE,
    PROMETHEUS_SERVICE,
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
        self._buckets = {
            MLFLOW: _MLFLOW_BUCKET,
            **pipeline_buckets(args.settings),
            **team_buckets(args.settings),
            **backup_buckets(args.settings),
        }
        priorities = PriorityClasses(
            "priority-classes", PriorityClassesArgs(namespace_name=args.settings.namespace), self.child()
        )
        self.namespace = PlatformNamespace(
            "platform-namespace",
            PlatformNamespaceArgs(namespace=args.settings.namespace, protect=args.settings.protect_data),
            # The gate: pods that name a priority are refused until it is there.
            self.child(depends_on=[priorities]),
        )
        self.admission = self._create_admission_policies()
        self._pipeline_namespace = create_pipeline_namespace(args.settings, self.child())
        self.object_store = self._create_object_store() if args.settings.object_store.kind == "minio" else None
        self.metadata_db = create_metadata_db(
            args.settings, self.namespace.namespace, self._secrets, args.cloud, self.object_store, self.child()
        )
        self.tracking_server = self._create_tracking_server()
        self.event_store = self._create_event_store()
        self.test_definition = AbTestDefinition(
            "ab-tests", AbTestDefinitionArgs(protect=args.settings.protect_data), self.child()
        )
        self.database_exporter = self._create_database_exporter()
        self.monitoring = self._create_monitoring()
        self.api = self._create_api()
        self.pipelines = self._create_pipelines(self._pipeline_namespace) if self._pipeline_namespace else None
        self.logins = create_logins(
            args.settings,
            Inside(namespace=self.namespace.namespace, secrets=self._secrets, gateway=self._peer),
            self.child(),
        )
        self.gateway = self._create_gateway()
        self.models = {model.name: self._create_model(model) for model in args.settings.models}
        arrange_gpus(self, args.settings, self.namespace.namespace)
        self._create_autoscalers()
        self.controller = self._create_controller()
        self.training = Training("training", TrainingArgs(namespace=self.namespace.namespace), self.child())
        around = TeamSurroundings(
            platform_namespace=self.namespace.namespace,
            object_store=self.object_store,
            registry_url=self.tracking_server.url,
        )
        self.teams = create_teams(args.settings, around, self.child())
        self.outputs = stack_outputs(self, args.settings, self._hosts, self._buckets, args.cloud)
        self.finish(**self.outputs)

    def _create_admission_policies(self) -> AdmissionPolicies | None:
        if not self._settings.admission_policies:
            return None
        return AdmissionPolicies(
            "admission-policies",
            AdmissionPoliciesArgs(
                namespace_name=self._settings.namespace,
                stack=pulumi.get_stack(),
                operators=operators(self._settings),
            ),
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
                gateway=front_of(settings, CONSOLE_PAGE, self._peer),
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
                public_host=self._hosts.get(MLFLOW_PAGE),
                gateway=front_of(settings, MLFLOW_PAGE, self._peer),
                allowed_hosts=settings.tracking_server.allowed_hosts,
                workers=settings.tracking_server.workers,
                replicas=settings.replicas("tracking_server"),
                cpu_millis=settings.tracking_server.cpu_millis,
                memory_per_worker_mib=settings.tracking_server.memory_per_worker_mib,
                workspaces=bool(settings.teams),
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
                teams=bool(settings.teams),
                elsewhere=(
                    *measured(settings, self._pipeline_namespace),
                    *measured_scaling(settings),
                    *measured_servers(settings, self.namespace.namespace),
                ),
                database_servers=settings.metadata_db.servers.instances if settings.metadata_db.is_cluster else 0,
                scalers=scalers(settings),
                page_logins=settings.access.login is not None,
                readers=tuple(reader for reader in (asking(settings), metrics_reader(settings)) if reader is not None),
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
                replicas=self._settings.replicas("api"),
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
        pages = {
            MLFLOW_PAGE: self.tracking_server.service,
            CONSOLE_PAGE: self.object_store and self.object_store.service,
            PIPELINES_PAGE: self.pipelines and self.pipelines.page,
        }
        return Gateway(
            GATEWAY_NAME,
            GatewayArgs(
                namespace=self.namespace.namespace,
                pods=self._peer,
                hosts=tuple(self._hosts.values()),
                routes=(
                    HostRoute(
                        role="api",
                        host=self._hosts["api"],
                        service=self.api.service,
                        port=API_PORT,
                        prefix=_API_PATHS,
                    ),
                    *page_routes(self._settings, self.logins, pages),
                ),
                issuer=certificate_issuer(self._settings),
                strict_seconds=self._settings.access.strict_seconds,
            ),
            self.child(),
        )

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
                page_front=front_of(self._settings, PIPELINES_PAGE, self._peer),
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
                replicas=self._settings.replicas("model_server"),
                sync_interval_seconds=serving.sync_interval_seconds,
                storage_mib=serving.storage_mib,
                server_resources=self._settings.serving_resources,
                idle_budget_minutes=serving.idle_budget_minutes,
                accelerator=serving.accelerator if self._settings.serving_resources.gpus else None,
                claims=self._settings.gpu.by_claims,
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
                gateway_port=gateway_port(self._settings),
                gateway=self._peer,
            ),
            self.child(),
        )
        return server, split

    def _create_autoscalers(self) -> None:
        deployments = {
            TRACKING_SERVER_SERVICE: self.tracking_server.deployment,
            API_SERVICE: self.api.deployment,
            **slot_deployments({name: server for name, (server, _) in self.models.items()}),
        }
        create_autoscalers(self._settings, self.namespace.namespace, deployments, self.child())

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
