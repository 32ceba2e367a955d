"""Settings that are each allowed but not together, and what would be allowed instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from components import settings_access, settings_database_cluster, settings_namespaces, settings_prerequisites
from components._versions import IMAGES
from components._workload import SHARED_GPU_RESOURCE
from components.settings_gpu import claim_problems, serving_problems
from components.settings_teams import team_conflicts
from ml.contracts import slot_workload

if TYPE_CHECKING:
    from components.settings import Settings
    from components.settings_parts import ModelSettings

_SEVERAL = 2


def impossible_together(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    """Return which settings are each allowed but not together: their names and what would be allowed.

    Args:
        settings: as they were read.
        faulty: names of settings that are refused already, about which nothing can be said.
    """
    conflicts = [] if "aws" in faulty else _cloud_conflicts(settings, faulty)
    if faulty.isdisjoint({"images", "image_registry", "image_mirror"}):
        conflicts += _image_conflicts(settings)
    conflicts += _namespace_conflicts(settings, faulty)
    conflicts += _access_conflicts(settings, faulty)
    if "models" not in faulty:
        conflicts += [("models", allowed) for allowed in _model_conflicts(settings.models)]
    conflicts += (
        _scaling_conflicts(settings, faulty) + _quota_conflicts(settings, faulty) + _claim_conflicts(settings, faulty)
    )
    return [*conflicts, *_team_conflicts(settings, faulty)]


def _image_conflicts(settings: Settings) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    homeless = [name for name, image in IMAGES.items() if image.own and name not in settings.images]
    if homeless and settings.image_registry is None and settings.image_mirror is None:
        allowed = f"a registry and path, unless `images` has {' and '.join(homeless)}"
        found.append(("image_registry", allowed))
    mirror = f"{settings.image_mirror}/"
    outside = sorted(name for name, image in settings.images.items() if not image.startswith(mirror))
    if outside and settings.image_mirror is not None:
        found.append(("images", f"references below {mirror}, the mirror; {', '.join(outside)} lies elsewhere"))
    return found


def _namespace_conflicts(settings: Settings, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    if faulty.isdisjoint({"namespace", "pipeline_service", "gateway", "prerequisites"}):
        yield from settings_namespaces.shared_namespaces(settings)
    if faulty.isdisjoint({"autoscaling", "gpu", "prerequisites"}):
        yield from settings_namespaces.missed_charts(settings)


def _model_conflicts(models: Sequence[ModelSettings]) -> Iterator[str]:
    if len({model.name for model in models}) < len(models):
        yield "a list in which every name occurs once"
        return
    slots: dict[str, list[str]] = {}
    for model in models:
        for slot in model.slots:
            slots.setdefault(slot_workload(model.name, slot), []).append(f"{model.name}'s {slot}")
    for workload, same in slots.items():
        if len(same) > 1:
            names = " and ".join(same)
            yield f"slots whose names differ with their model's before them: {workload} is that of {names}"


def _quota_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    if not faulty.isdisjoint({"gpu", "model_server", "models", "autoscaling"}) or settings.gpu.quota is None:
        return []
    scaled = settings.autoscaling.model_server
    pods = sum(len(model.slots) for model in settings.models) * (
        settings.model_server.replicas if scaled is None else scaled.maximum
    )
    asked = pods * settings.model_server.resources.gpus
    if asked <= settings.gpu.quota:
        return []
    return [("gpu", f"a quota of {asked} or more, which model servers may ask for")]


def _claim_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    if not faulty.isdisjoint({"gpu", "model_server", "aws"}):
        return []
    serving = settings.model_server
    found = claim_problems(settings.gpu, serving.resources, serving.accelerator, own_nodes=settings.aws is not None)
    return list(found)


def _scaling_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    if not faulty.isdisjoint({"autoscaling", "monitoring", "gpu", "model_server", "tracking_server", "api"}):
        return []
    parts = {
        "model_server": settings.model_server,
        "tracking_server": settings.tracking_server,
        "api": settings.api,
    }
    return list(
        settings.autoscaling.beside(
            own_replicas={name for name, part in parts.items() if part.replicas != type(part)().replicas},
            cards_measured=settings.gpu.operator and settings.model_server.resources.gpus > 0,
            shared=settings.model_server.resources.gpu_resource == SHARED_GPU_RESOURCE,
            scrape_interval_seconds=settings.monitoring.scrape_interval_seconds,
        )
    )


def _team_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    if not faulty.isdisjoint({"teams", "namespace", "gateway", "pipeline_service", "prerequisites", "aws"}):
        return []
    taken = {
        settings.pipeline_service.namespace: "`pipelineService.namespace`",
        **settings_namespaces.filled_by_others(settings),
        settings.namespace: "`namespace`",
    }
    gpus = settings.aws is None or bool(settings.aws.gpu_pools)
    return [("teams", allowed) for allowed in team_conflicts(settings.teams, taken, gpus=gpus)]


def _cloud_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if faulty.isdisjoint({"kubeconfig", "context"}):
        named = settings.kubeconfig is not None or settings.context is not None
        if settings.aws is None and not named:
            found.append(("context", "the name of a context, unless `kubeconfig` is set"))
        if settings.aws is not None and named:
            found.append(("aws", "absent where `kubeconfig` or `context` names a cluster"))
    if "object_store" not in faulty and settings.object_store.kind == "s3" and settings.aws is None:
        found.append(("object_store", "minio, unless `aws` is set"))
    if faulty.isdisjoint({"object_store", "pipeline_service"}) and _pipelines_without_store(settings):
        allowed = "not enabled, unless `objectStore.kind` is minio: pipelines keep a key of the store in a Secret"
        found.append(("pipeline_service", allowed))
    if faulty.isdisjoint({"metadata_db", "backup_secret"}):
        found += [*_database_conflicts(settings), *_cluster_conflicts(settings)]
    if settings.aws is None:
        return found
    if settings.aws.highly_available:
        found += _stores_in_one_zone(settings, faulty)
    if "model_server" in faulty:
        return found
    if settings.model_server.resources.gpus:
        serving = settings.model_server
        problems = serving_problems(
            serving.resources,
            settings.aws.gpu_pools,
            accelerator=serving.accelerator,
            falls_back=serving.cpu_fallback,
        )
        found += [("model_server", problem) for problem in problems]
    if "gpu" not in faulty and (settings.gpu.mig or settings.gpu.time_slices > 1):
        found.append(("gpu", "no timeSlices and no mig where `aws.gpuPools` says how cards are shared"))
    return found + _single_replicas(settings, faulty, highly_available=settings.aws.highly_available)


def _stores_in_one_zone(settings: Settings, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    kinds = {"metadata_db": ("pod", "cloudNativePg or rds"), "object_store": ("minio", "s3")}
    for name, (in_a_pod, others) in kinds.items():
        if name not in faulty and getattr(settings, name).kind == in_a_pod:
            yield name, f"kind {others}, unless `aws.highlyAvailable` is false: a pod's disk lies in one zone"


def _access_conflicts(settings: Settings, faulty: AbstractSet[str]) -> list[tuple[str, str]]:
    needed = {
        "access",
        "autoscaling",
        "aws",
        "gateway",
        "gateway_address",
        "gpu",
        "image_mirror",
        "login_secret",
        "metadata_db",
        "prerequisites",
    }
    if not faulty.isdisjoint(needed):
        return []
    balancer = settings.aws is not None and settings.aws.access is not None
    found = [
        *settings_access.conflicts_outside(
            settings.access,
            gateway_address=settings.gateway_address,
            balancer=balancer,
            highly_available=settings.aws is not None and settings.aws.highly_available,
        ),
        *settings_prerequisites.conflicts_outside(
            settings.prerequisites,
            gateway_tls=settings.access.ends_tls,
            balancer=balancer,
            keda_scales=settings.autoscaling.engine == "keda" and bool(settings.autoscaling.parts()),
            gpu_operator_told=settings.gpu.operator,
            cards_claimed=settings.gpu.by_claims,
            database_cluster=settings.metadata_db.is_cluster,
            mirrored=settings.image_mirror is not None,
            envoy_gateway=settings.gateway.proxy == "envoy",
        ),
    ]
    unused = settings.login_secret is not None and settings.access.login is None
    return [*found, *([("login_secret", "absent, unless `access.login` is set")] if unused else [])]


def _database_conflicts(settings: Settings) -> list[tuple[str, str]]:
    is_managed = settings.metadata_db.kind == "rds"
    if settings.aws is None:
        return [("metadata_db", "pod or cloudNativePg, unless `aws` is set")] if is_managed else []
    if is_managed and settings.aws.database is None:
        return [("aws", "a section with `database` where `metadataDb.kind` is rds")]
    if settings.aws.database is not None and not is_managed:
        return [("aws", "a section without `database` unless `metadataDb.kind` is rds")]
    return []


def _cluster_conflicts(settings: Settings) -> Iterator[tuple[str, str]]:
    return settings_database_cluster.conflicts_outside(
        settings.metadata_db.servers,
        chosen=settings.metadata_db.is_cluster,
        secret=settings.backup_secret is not None,
        on_aws=settings.aws is not None,
        highly_available=settings.aws is not None and settings.aws.highly_available,
    )


def _pipelines_without_store(settings: Settings) -> bool:
    return settings.pipeline_service.enabled and settings.object_store.kind == "s3"


def _single_replicas(settings: Settings, faulty: AbstractSet[str], *, highly_available: bool) -> list[tuple[str, str]]:
    names = ("tracking_server", "model_server", "controller", "api") if highly_available else ()
    allowed = "2 replicas or more, unless `aws.highlyAvailable` is false"
    names = tuple(name for name in names if name not in faulty and _fewest_pods(settings, name, faulty) < _SEVERAL)
    return [(name, allowed) for name in names]


def _fewest_pods(settings: Settings, name: str, faulty: AbstractSet[str]) -> int:
    scaled = None if "autoscaling" in faulty else settings.autoscaling.parts().get(name)
    return getattr(settings, name).replicas if scaled is None else scaled.minimum
