"""One example of every component in the cluster that keeps no data; `tests.support.catalogue` shows them all."""

from __future__ import annotations

import pulumi

from components._network import ServicePeer
from components._pipelines.server import ServerImages
from components._pipelines.store import ArtifactStore
from components._quota import Quota
from components._scaling import Measure, Scaler
from components.api import ApiArgs, RequestRates
from components.autoscaler import AutoscalerArgs
from components.experiment_controller import ExperimentControllerArgs
from components.gateway import GatewayArgs, HostRoute
from components.gpu_operator import GpuOperatorArgs
from components.model_server import ModelServerArgs
from components.monitoring import MonitoringArgs
from components.page_login import LoginIssuer, PageLoginArgs
from components.pipeline_service import PipelineImages, PipelineServiceArgs
from components.prerequisites import GatewayInstallation, Grafana, PrerequisitesArgs
from components.team import TeamArgs, TeamBucket
from components.team_registry import TeamRegistryArgs
from components.traffic_split import TrafficSplitArgs
from ml.contracts.prerequisites import PREREQUISITES
from tests.support.catalogue_values import CLIENT_IMAGE, DATABASE, GATEWAY, IMAGE, RESOURCES, secrets


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
        parallel_runs=7,
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
