"""Every setting of a stack: its key, default and allowed values. The only module that reads Pulumi's configuration.

The schema is closed. Whatever is unknown, missing, mistyped or out of range is reported in one error, before the first
resource. Defaults are safe for production; `Pulumi.<stack>.yaml` says what differs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import pulumi
from pulumi.runtime import config as runtime_config

from components import settings_conflicts
from components._rules import dns_label, either, flag, integer, listing, own_namespace, sensitive, table, text, word
from components._schema import Problem, Problems, Sensitive, decode, read_section, schema, section, setting
from components._versions import IMAGES, MODEL_SERVER, MODEL_SERVER_GPU, PLATFORM_VERSION
from components._workload import Resources
from components.settings_access import AccessSettings
from components.settings_aws import AwsSettings
from components.settings_gpu import GpuSettings, fitting
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
from components.settings_teams import TeamSettings
from ml.contracts import DEFAULT_MODELS

_MASTER_SECRET_MIN_LENGTH = 32

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
    namespace: str = setting(own_namespace, default="free-deep-research")
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
        return settings_conflicts.impossible_together(self, faulty)

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
