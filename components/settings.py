"""Every setting of a stack: its key, default and allowed values. The only module that reads Pulumi's configuration.

The schema is closed. Whatever is unknown, missing, mistyped or out of range is reported in one error, before the first
resource. Defaults are safe for production; `Pulumi.<stack>.yaml` says what differs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import pulumi
from pulumi.runtime import config as runtime_config

from components import settings_access, settings_database_cluster, settings_prerequisites
from components._rules import dns_label, either, flag, integer, listing, sensitive, table, text, word
from components._schema import Problem, Problems, Sensitive, decode, read_section, schema, section, setting
from components._versions import IMAGES, MODEL_SERVER, MODEL_SERVER_GPU, PLATFORM_VERSION
from components._workload import SHARED_GPU_RESOURCE, Resources
from components.settings_access import AccessSettings
from components.settings_aws import AwsSettings
from components.settings_gpu import GpuSettings, claim_problems, fitting, serving_problems
from components.settings_parts import (
    ApiSettings,
    ControllerSettings,
    GatewaySettings,
    MetadataDbSettings,
    ModelServerSettings,
    ModelSettings,
    MonitoringSettings,
    ObjectStoreSettings,
    PipelineServiceSettings,
    TrackingServerSettings,
)
from components.settings_prerequisites import PrerequisitesSettings
from components.settings_scaling import AutoscalingSettings
from components.settings_teams import TeamSettings, team_conflicts
from ml.contracts import DEFAULT_MODELS

_MASTER_SECRET_MIN_LENGTH = 32
_SEVERAL = 2

_dns_name = text(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "a DNS name such as example.org", max_length=200
)
_image = text(
    r"[a-z0-9][a-zA-Z0-9._/-]*(:[0-9]+/[a-z0-9._/-]+)?(:(?!latest$)[\w][\w.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})",
    "an image reference with a tag other than `latest`, or with a digest",
    max_length=512,
)
_address = text(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", "a host name or address, with a port if it is not 80")
_registry = text(r"(?!.*//)[a-z0-9][a-z0-9._:/-]*[a-z0-9]", "a registry and path")
_version = text(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?", "a version such as 1.2.3, in quotes", max_length=64)
_path = text(r"[^\s{]+", "the path of a kubeconfig file", max_length=4096)
_master_secret = sensitive(_MASTER_SECRET_MIN_LENGTH, "stored encrypted: `pulumi config set --secret masterSecret`")
_login_secret = sensitive(1, "stored encrypted: `pulumi config set --secret loginSecret`")
_backup_secret = sensitive(1, "stored encrypted: `pulumi config set --secret backupSecret`")
_kubeconfig_content = sensitive(1, "namely its content, stored encrypted: `pulumi config set --secret kubeconfig`")


MOST_MODELS: Final = 500
"""What Prometheus has to know about them must fit into one ConfigMap of 1 MiB."""


@schema
class Settings:
    """The settings of one stack; `load` reads them."""

    master_secret: Sensitive = setting(_master_secret)
    """All passwords are derived from it."""
    kubeconfig: str | Sensitive | None = setting(either(_path, _kubeconfig_content), default=None)
    """None takes the file that `kubectl` would take."""
    context: str | None = setting(word, default=None)
    """None takes the current context of `kubeconfig`; the ambient file's current context is never taken."""
    cluster_identifier: str = setting(word, default="default")
    """Names the cluster: as long as it stays, a changed kubeconfig replaces nothing."""
    namespace: str = setting(dns_label, default="free-deep-research")
    domain: str = setting(_dns_name, default="freedeepresearch.org")
    ready_timeout_seconds: int = setting(integer(10, 3_600, "seconds"), default=600)
    """How long an update waits for one object to become ready before it reports what is wrong and ends."""
    protect_data: bool = setting(flag(), default=True)
    """Whether data outlives the stack, and Pulumi refuses to delete what holds it."""
    storage_class: str | None = setting(dns_label, default=None)
    """None takes the cluster's default class."""
    admission_policies: bool = setting(flag(), default=True)
    """Whether the cluster refuses by the rules of `policies/` what lies in the platform's namespace."""
    images: Mapping[str, str] = setting(table(_image, keys=tuple(IMAGES)), default_factory=dict[str, str])
    """References that replace the ones in _versions.py, by logical name."""
    image_registry: str | None = setting(_registry, default=None)
    """Where the platform's own images lie, unless `images` names them."""
    image_mirror: str | None = setting(_registry, default=None)
    """Below which every image and chart lies under its usual name; None takes each from its maker."""
    version: str = setting(_version, default=PLATFORM_VERSION)
    """Tag of the platform's own images. What is promoted from stack to stack."""
    gateway_address: str | None = setting(_address, default=None)
    """Where people reach the ingress gateway; None if they do so by the hosts' own names."""
    access: AccessSettings = setting(section(AccessSettings), default_factory=AccessSettings)
    login_secret: Sensitive | None = setting(_login_secret, default=None)
    """Of the client `access.login.clientId`; None derives one, for issuers that take the secret they are given."""
    gateway: GatewaySettings = setting(section(GatewaySettings), default_factory=GatewaySettings)
    metadata_db: MetadataDbSettings = setting(section(MetadataDbSettings), default_factory=MetadataDbSettings)
    backup_secret: Sensitive | None = setting(_backup_secret, default=None)
    """Secret key of `metadataDb.cluster.external`, and absent elsewhere."""
    object_store: ObjectStoreSettings = setting(section(ObjectStoreSettings), default_factory=ObjectStoreSettings)
    tracking_server: TrackingServerSettings = setting(
        section(TrackingServerSettings), default_factory=TrackingServerSettings
    )
    model_server: ModelServerSettings = setting(section(ModelServerSettings), default_factory=ModelServerSettings)
    controller: ControllerSettings = setting(section(ControllerSettings), default_factory=ControllerSettings)
    api: ApiSettings = setting(section(ApiSettings), default_factory=ApiSettings)
    monitoring: MonitoringSettings = setting(section(MonitoringSettings), default_factory=MonitoringSettings)
    pipeline_service: PipelineServiceSettings = setting(
        section(PipelineServiceSettings), default_factory=PipelineServiceSettings
    )
    gpu: GpuSettings = setting(section(GpuSettings), default_factory=GpuSettings)
    autoscaling: AutoscalingSettings = setting(section(AutoscalingSettings), default_factory=AutoscalingSettings)
    models: tuple[ModelSettings, ...] = setting(
        listing(section(ModelSettings), minimum=1, maximum=MOST_MODELS),
        default_factory=lambda: tuple(ModelSettings(name=name) for name in DEFAULT_MODELS),
    )
    teams: tuple[TeamSettings, ...] = setting(listing(section(TeamSettings)), default=())
    """Who shares the platform; without one it is its operators' alone."""
    prerequisites: PrerequisitesSettings = setting(
        section(PrerequisitesSettings), default_factory=PrerequisitesSettings
    )
    aws: AwsSettings | None = setting(section(AwsSettings), default=None)
    """None takes the cluster that `kubeconfig` and `context` name; otherwise the stack makes its own on AWS."""

    def conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        """Refuse settings that are each allowed but not together."""
        found = [] if "aws" in faulty else self._cloud_conflicts(faulty)
        if faulty.isdisjoint({"images", "image_registry", "image_mirror"}):
            found += self._image_conflicts()
        if faulty.isdisjoint({"namespace", "pipeline_service"}) and self.pipeline_service.namespace == self.namespace:
            found.append(("namespace", "another one than that of pipelineService"))
        found += self._access_conflicts(faulty)
        names = [] if "models" in faulty else [model.name for model in self.models]
        if len(set(names)) < len(names):
            found.append(("models", "a list in which every name occurs once"))
        found += self._scaling_conflicts(faulty) + self._quota_conflicts(faulty) + self._claim_conflicts(faulty)
        return [*found, *self._team_conflicts(faulty)]

    def _image_conflicts(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        homeless = [name for name, image in IMAGES.items() if image.own and name not in self.images]
        if homeless and self.image_registry is None and self.image_mirror is None:
            allowed = f"a registry and path, unless `images` has {' and '.join(homeless)}"
            found.append(("image_registry", allowed))
        mirror = f"{self.image_mirror}/"
        outside = sorted(name for name, image in self.images.items() if not image.startswith(mirror))
        if outside and self.image_mirror is not None:
            found.append(("images", f"references below {mirror}, the mirror; {', '.join(outside)} lies elsewhere"))
        return found

    def _quota_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        if not faulty.isdisjoint({"gpu", "model_server", "models", "autoscaling"}) or self.gpu.quota is None:
            return []
        scaled = self.autoscaling.model_server
        pods = sum(len(model.slots) for model in self.models) * (
            self.model_server.replicas if scaled is None else scaled.maximum
        )
        asked = pods * self.model_server.resources.gpus
        if asked <= self.gpu.quota:
            return []
        return [("gpu", f"a quota of {asked} or more, which model servers may ask for")]

    def _claim_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        if not faulty.isdisjoint({"gpu", "model_server", "aws"}):
            return []
        serving = self.model_server
        found = claim_problems(self.gpu, serving.resources, serving.accelerator, own_nodes=self.aws is not None)
        return list(found)

    def _scaling_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        if not faulty.isdisjoint({"autoscaling", "monitoring", "gpu", "model_server", "tracking_server", "api"}):
            return []
        parts = {
            "model_server": self.model_server,
            "tracking_server": self.tracking_server,
            "api": self.api,
        }
        return list(
            self.autoscaling.beside(
                own_replicas={name for name, part in parts.items() if part.replicas != type(part)().replicas},
                cards_measured=self.gpu.operator and self.model_server.resources.gpus > 0,
                shared=self.model_server.resources.gpu_resource == SHARED_GPU_RESOURCE,
                scrape_interval_seconds=self.monitoring.scrape_interval_seconds,
            )
        )

    def _team_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        if not faulty.isdisjoint({"teams", "namespace", "gateway", "pipeline_service", "aws"}):
            return []
        taken = {
            self.namespace: "`namespace`",
            self.gateway.namespace: "`gateway.namespace`",
            self.pipeline_service.namespace: "`pipelineService.namespace`",
            "default": "the cluster",
        }
        gpus = self.aws is None or bool(self.aws.gpu_pools)
        return [("teams", allowed) for allowed in team_conflicts(self.teams, taken, gpus=gpus)]

    def _cloud_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        if faulty.isdisjoint({"kubeconfig", "context"}):
            named = self.kubeconfig is not None or self.context is not None
            if self.aws is None and not named:
                found.append(("context", "the name of a context, unless `kubeconfig` is set"))
            if self.aws is not None and named:
                found.append(("aws", "absent where `kubeconfig` or `context` names a cluster"))
        if "object_store" not in faulty and self.object_store.kind == "s3" and self.aws is None:
            found.append(("object_store", "minio, unless `aws` is set"))
        if faulty.isdisjoint({"object_store", "pipeline_service"}) and self._pipelines_without_store():
            allowed = "not enabled, unless `objectStore.kind` is minio: pipelines keep a key of the store in a Secret"
            found.append(("pipeline_service", allowed))
        if faulty.isdisjoint({"metadata_db", "backup_secret"}):
            found += [*self._database_conflicts(), *self._cluster_conflicts()]
        if self.aws is None or "model_server" in faulty:
            return found
        if self.model_server.resources.gpus:
            serving = self.model_server
            problems = serving_problems(
                serving.resources,
                self.aws.gpu_pools,
                accelerator=serving.accelerator,
                falls_back=serving.cpu_fallback,
            )
            found += [("model_server", problem) for problem in problems]
        if "gpu" not in faulty and (self.gpu.mig or self.gpu.time_slices > 1):
            found.append(("gpu", "no timeSlices and no mig where `aws.gpuPools` says how cards are shared"))
        return found + self._single_replicas(faulty, highly_available=self.aws.highly_available)

    def _access_conflicts(self, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
        needed = {
            "access",
            "autoscaling",
            "aws",
            "gateway_address",
            "gpu",
            "image_mirror",
            "login_secret",
            "metadata_db",
            "prerequisites",
        }
        if not faulty.isdisjoint(needed):
            return []
        balancer = self.aws is not None and self.aws.access is not None
        found = [
            *settings_access.conflicts_outside(
                self.access,
                gateway_address=self.gateway_address,
                balancer=balancer,
                highly_available=self.aws is not None and self.aws.highly_available,
            ),
            *settings_prerequisites.conflicts_outside(
                self.prerequisites,
                gateway_tls=self.access.ends_tls,
                balancer=balancer,
                keda_scales=self.autoscaling.engine == "keda" and bool(self.autoscaling.parts()),
                gpu_operator_told=self.gpu.operator,
                cards_claimed=self.gpu.by_claims,
                database_cluster=self.metadata_db.is_cluster,
                mirrored=self.image_mirror is not None,
            ),
        ]
        unused = self.login_secret is not None and self.access.login is None
        return [*found, *([("login_secret", "absent, unless `access.login` is set")] if unused else [])]

    def _database_conflicts(self) -> list[tuple[str, str]]:
        is_managed = self.metadata_db.kind == "rds"
        if self.aws is None:
            return [("metadata_db", "pod or cloudNativePg, unless `aws` is set")] if is_managed else []
        if is_managed and self.aws.database is None:
            return [("aws", "a section with `database` where `metadataDb.kind` is rds")]
        if self.aws.database is not None and not is_managed:
            return [("aws", "a section without `database` unless `metadataDb.kind` is rds")]
        return []

    def _cluster_conflicts(self) -> Iterator[tuple[str, str]]:
        return settings_database_cluster.conflicts_outside(
            self.metadata_db.servers,
            chosen=self.metadata_db.is_cluster,
            secret=self.backup_secret is not None,
            on_aws=self.aws is not None,
            highly_available=self.aws is not None and self.aws.highly_available,
        )

    def _pipelines_without_store(self) -> bool:
        return self.pipeline_service.enabled and self.object_store.kind == "s3"

    def _single_replicas(self, faulty: AbstractSet[str], *, highly_available: bool) -> list[tuple[str, str]]:
        names = ("tracking_server", "model_server", "controller", "api") if highly_available else ()
        allowed = "2 replicas or more, unless `aws.highlyAvailable` is false"
        names = tuple(name for name in names if name not in faulty and self._fewest_pods(name, faulty) < _SEVERAL)
        return [(name, allowed) for name in names]

    def _fewest_pods(self, name: str, faulty: AbstractSet[str]) -> int:
        scaled = None if "autoscaling" in faulty else self.autoscaling.parts().get(name)
        return getattr(self, name).replicas if scaled is None else scaled.minimum

    def replicas(self, name: str) -> int | None:
        """Return how many pods a section's part has; None where an autoscaler decides."""
        return None if name in self.autoscaling.parts() else getattr(self, name).replicas

    def image(self, name: str) -> str:
        """Return the reference to pull for a logical image name."""
        return self.images.get(name) or IMAGES[name].reference(
            self.image_registry, own_version=self.version, mirror=self.image_mirror
        )

    @property
    def serving_image(self) -> str:
        """Reference of the model server: the build for GPUs where its pods ask for some."""
        return self.image(MODEL_SERVER_GPU if self.serving_resources.gpus else MODEL_SERVER)

    @property
    def serving_resources(self) -> Resources:
        """What a model server reserves: no GPU where it may do without and none is to be had."""
        serving = self.model_server
        if self.aws is None or not serving.cpu_fallback or fitting(self.aws.gpu_pools, serving.accelerator):
            return serving.resources
        return dataclasses.replace(serving.resources, gpus=0)


class SettingsError(pulumi.RunError):
    """The configuration is not usable; `problems` says why, all of it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{count} in the configuration, nothing has been changed:\n{lines}")


def load() -> Settings:
    """Read the configuration of the running stack.

    Raises:
        SettingsError: names every problem.
    """
    prefix = f"{pulumi.get_project()}:"
    values = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    own = {key.removeprefix(prefix): str(value) for key, value in values.items() if key.startswith(prefix)}
    return parse(own, {key for key in own if runtime_config.is_config_secret(f"{prefix}{key}")})


def parse(values: Mapping[str, str], encrypted: AbstractSet[str]) -> Settings:
    """Turn configuration texts, of which some are stored encrypted, into settings.

    Raises:
        SettingsError: names every problem.
    """
    problems = Problems()
    settings = read_section(Settings, decode(Settings, values, encrypted), problems)
    if settings is None:
        raise SettingsError(problems.found)
    return settings
