"""Which changes cannot be made in place, so that the object is deleted and made anew; as in the official provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local.provider import objects
from local.provider.paths import Path
from local.provider.values import Object

_IDENTITY: Final = (("metadata", "name"), ("metadata", "namespace"))
_VOLUME_SOURCES: Final = ("csi", "hostPath", "local", "nfs", "iscsi", "fc")
_FIELDS: Final[dict[tuple[str, str], tuple[Path, ...]]] = {
    ("apps", "Deployment"): (("spec", "selector"),),
    ("apps", "DaemonSet"): (("spec", "selector"),),
    ("apps", "StatefulSet"): (
        ("spec", "podManagementPolicy"),
        ("spec", "revisionHistoryLimit"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
    ),
    ("batch", "Job"): (
        ("spec", "completions"),
        ("spec", "parallelism"),
        ("spec", "selector"),
        ("spec", "template"),
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("storage.k8s.io", "StorageClass"): (("parameters",), ("provisioner",)),
    ("", "PersistentVolume"): tuple(("spec", source) for source in _VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): (
        ("spec", "accessModes"),
        ("spec", "selector"),
        ("spec", "storageClassName"),
        ("spec", "volumeName"),
    ),
    ("", "Pod"): (("spec",),),
    ("", "ResourceQuota"): (("spec", "scopes"),),
    ("", "Service"): (("spec", "clusterIP"),),
}


@dataclass(frozen=True, kw_only=True)
class Mutability:
    """Whether ConfigMaps and Secrets may change in place; an `immutable: true` one never does."""

    config_map: bool = False
    secret: bool = False


def replacing_fields(obj: Object, mutability: Mutability) -> tuple[Path, ...]:
    """Return the paths below which any change replaces `obj`."""
    key = (objects.group(obj), objects.kind(obj))
    fields = _IDENTITY + _FIELDS.get(key, ())
    is_immutable = obj.get("immutable") is True
    if key == ("", "ConfigMap") and (is_immutable or not mutability.config_map):
        fields += (("data",), ("binaryData",))
    if key == ("", "Secret"):
        fields += (("type",),)
        if is_immutable or not mutability.secret:
            fields += (("data",), ("stringData",))
    return fields


def forces_replacement(path: Path, fields: tuple[Path, ...]) -> bool:
    """Tell whether a change at `path` lies below one of `fields`, or takes one of them away with its parent."""
    return any(path[: len(field)] == field or field[: len(path)] == path for field in fields)
