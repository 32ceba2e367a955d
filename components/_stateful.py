"""Builds StatefulSets whose data survives what can go wrong when Pulumi or Kubernetes replaces them.

Selector, service name, claim templates and history limit are frozen: a change to any of them replaces the set, which
ends all of its pods. Disks grow by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi_kubernetes as k8s

from components._base import PlatformComponent

_ORPHAN_PODS = {"pulumi.com/deletionPropagationPolicy": "orphan"}


def claim(
    name: str, storage_gib: int, storage_class: str | None, labels: Mapping[str, str]
) -> k8s.core.v1.PersistentVolumeClaimArgs:
    """Return the template of a volume that one pod at a time mounts."""
    # A template is immutable, so it must not carry the version.
    stable = {key: value for key, value in labels.items() if key != "app.kubernetes.io/version"}
    return k8s.core.v1.PersistentVolumeClaimArgs(
        metadata=k8s.meta.v1.ObjectMetaArgs(name=name, labels=stable),
        spec=k8s.core.v1.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=storage_class,
            resources=k8s.core.v1.VolumeResourceRequirementsArgs(requests={"storage": f"{storage_gib}Gi"}),
        ),
    )


def stateful_set(
    component: PlatformComponent,
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    service: str,
    selector: Mapping[str, str],
    template: k8s.core.v1.PodTemplateSpecArgs,
    claims: Sequence[k8s.core.v1.PersistentVolumeClaimArgs],
    protect: bool,
) -> k8s.apps.v1.StatefulSet:
    """Declare a StatefulSet of one pod.

    `service` is a plain name: a Service counts as created once it has a ready pod, so nothing that makes the pods may
    come after it.

    With `protect` Pulumi refuses to delete it, a forced replacement leaves its pod running, and its volumes stay.
    """
    if protect:
        metadata.annotations = _ORPHAN_PODS
    return k8s.apps.v1.StatefulSet(
        name,
        metadata=metadata,
        spec=k8s.apps.v1.StatefulSetSpecArgs(
            replicas=1,
            service_name=service,
            # In order, a pod that hangs on a bad image is not replaced after the repair.
            pod_management_policy="Parallel",
            selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(selector)),
            template=template,
            volume_claim_templates=list(claims),
            persistent_volume_claim_retention_policy=(
                k8s.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                    when_deleted="Retain" if protect else "Delete", when_scaled="Retain"
                )
            ),
        ),
        opts=component.child(protect=protect or None),
    )
