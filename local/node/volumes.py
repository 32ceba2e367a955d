"""What the storage class `standard` owes its claims and volumes. Pure: objects in, actions out.

A volume is a folder on the node, handed to Kubernetes as a `local` PersistentVolume: that type, unlike hostPath,
honours a pod's fsGroup. The requested size is recorded and not enforced. Only single-node access modes are provided, as
a cloud's disks do it: what works here works there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

STORAGE_CLASS: Final = "standard"
PROVISIONER: Final = "mlplatform.dev/node-folder"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
_ACCESS_MODES: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})

Object = Mapping[str, Any]
"""A Kubernetes object as the API returns it."""


@dataclass(frozen=True)
class Provision:
    """Make a folder, then create this PersistentVolume."""

    volume: Object

    @property
    def name(self) -> str:
        """Name of the volume and of its folder."""
        return str(self.volume["metadata"]["name"])


@dataclass(frozen=True)
class Refuse:
    """Tell the claim's owner why there will be no volume."""

    claim: Object
    reason: str


@dataclass(frozen=True)
class Release:
    """Remove a volume's folder, then the PersistentVolume."""

    name: str


Action = Provision | Refuse | Release


def plan(claims: Iterable[Object], volumes: Iterable[Object], node_name: str, folder: Path) -> list[Action]:
    """Return what has to be done so that each claim has its volume and no released volume remains.

    Args:
        claims: all PersistentVolumeClaims.
        volumes: all PersistentVolumes.
        node_name: the node on which the folders are.
        folder: parent of the volumes' folders, as the kubelet sees it.
    """
    known = list(volumes)
    names = {str(volume["metadata"]["name"]) for volume in known}
    actions: list[Action] = [Release(str(volume["metadata"]["name"])) for volume in known if _is_released(volume)]
    for claim in claims:
        if not _is_waiting(claim) or volume_name(claim) in names:
            continue
        objection = _objection(claim["spec"])
        if objection:
            actions.append(Refuse(claim, objection))
        else:
            actions.append(Provision(_volume(claim, node_name, folder)))
    return actions


def volume_name(claim: Object) -> str:
    """Return the name of a claim's volume: derived from its uid, so the same claim never gets two."""
    return f"pvc-{claim['metadata']['uid']}"


def _is_waiting(claim: Object) -> bool:
    spec, metadata = claim["spec"], claim["metadata"]
    return (
        spec.get("storageClassName") == STORAGE_CLASS
        and not spec.get("volumeName")
        and claim.get("status", {}).get("phase") == "Pending"
        and "deletionTimestamp" not in metadata
    )


def _is_released(volume: Object) -> bool:
    metadata = volume["metadata"]
    return (
        metadata.get("annotations", {}).get(PROVISIONED_BY) == PROVISIONER
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and volume.get("status", {}).get("phase") in {"Released", "Failed"}
        and "deletionTimestamp" not in metadata
    )


def _objection(spec: Object) -> str | None:
    """Return why a claim cannot be met, or None if it can."""
    modes = set(spec.get("accessModes", []))
    if not modes <= _ACCESS_MODES:
        refused = ", ".join(sorted(modes - _ACCESS_MODES))
        return f"accessModes: {refused} is not provided; allowed are {', '.join(sorted(_ACCESS_MODES))}"
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return f"volumeMode: {spec['volumeMode']} is not provided; allowed is Filesystem"
    for field in ("selector", "dataSource", "dataSourceRef"):
        if spec.get(field):
            return f"{field}: is not supported by storage class {STORAGE_CLASS}"
    return None


def _volume(claim: Object, node_name: str, folder: Path) -> Object:
    metadata, spec = claim["metadata"], claim["spec"]
    name = volume_name(claim)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": list(spec["accessModes"]),
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "local": {"path": str(folder / name)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node_name]}
                            ]
                        }
                    ]
                }
            },
        },
    }
