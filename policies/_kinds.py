"""The kinds of resource that rules speak about, and where a workload keeps its pods' description."""

from __future__ import annotations

from typing import Final

POD_SPECS: Final = {
    "core/Pod": "spec",
    "apps/Deployment": "spec.template.spec",
    "apps/StatefulSet": "spec.template.spec",
    "apps/DaemonSet": "spec.template.spec",
    "batch/Job": "spec.template.spec",
    "batch/CronJob": "spec.jobTemplate.spec.template.spec",
}
"""Kinds that run pods, with the path of the pod's description."""

PODS: Final = tuple(POD_SPECS)
CONTROLLED: Final = ("apps/Deployment", "apps/StatefulSet", "apps/DaemonSet")
"""Workloads that are meant to run for ever."""
SCALED: Final = ("apps/Deployment", "apps/StatefulSet")

SERVED_AS: Final = {
    "core/Pod": ("v1", "pods"),
    "core/Service": ("v1", "services"),
    "core/ServiceAccount": ("v1", "serviceaccounts"),
    "core/Secret": ("v1", "secrets"),
    "core/ConfigMap": ("v1", "configmaps"),
    "core/Namespace": ("v1", "namespaces"),
    "core/PersistentVolume": ("v1", "persistentvolumes"),
    "core/PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "core/ReplicationController": ("v1", "replicationcontrollers"),
    "core/ResourceQuota": ("v1", "resourcequotas"),
    "apps/Deployment": ("v1", "deployments"),
    "apps/ReplicaSet": ("v1", "replicasets"),
    "apps/StatefulSet": ("v1", "statefulsets"),
    "apps/DaemonSet": ("v1", "daemonsets"),
    "batch/Job": ("v1", "jobs"),
    "batch/CronJob": ("v1", "cronjobs"),
    "autoscaling/HorizontalPodAutoscaler": ("v2", "horizontalpodautoscalers"),
    "policy/PodDisruptionBudget": ("v1", "poddisruptionbudgets"),
    "rbac.authorization.k8s.io/Role": ("v1", "roles"),
    "rbac.authorization.k8s.io/ClusterRole": ("v1", "clusterroles"),
    "rbac.authorization.k8s.io/RoleBinding": ("v1", "rolebindings"),
    "rbac.authorization.k8s.io/ClusterRoleBinding": ("v1", "clusterrolebindings"),
    "networking.k8s.io/NetworkPolicy": ("v1", "networkpolicies"),
    "networking.k8s.io/Ingress": ("v1", "ingresses"),
    "storage.k8s.io/StorageClass": ("v1", "storageclasses"),
    "resource.k8s.io/ResourceClaim": ("v1", "resourceclaims"),
    "resource.k8s.io/ResourceClaimTemplate": ("v1", "resourceclaimtemplates"),
    "networking.istio.io/Gateway": ("v1", "gateways"),
    "networking.istio.io/VirtualService": ("v1", "virtualservices"),
    "networking.istio.io/DestinationRule": ("v1", "destinationrules"),
    "networking.istio.io/EnvoyFilter": ("v1alpha3", "envoyfilters"),
    "security.istio.io/PeerAuthentication": ("v1", "peerauthentications"),
    "security.istio.io/AuthorizationPolicy": ("v1", "authorizationpolicies"),
    "security.istio.io/RequestAuthentication": ("v1", "requestauthentications"),
    "monitoring.coreos.com/ServiceMonitor": ("v1", "servicemonitors"),
    "postgresql.cnpg.io/Cluster": ("v1", "clusters"),
    "postgresql.cnpg.io/ScheduledBackup": ("v1", "scheduledbackups"),
    "mlplatform.dev/ABTest": ("v1alpha1", "abtests"),
}
"""Version and plural of the kinds that a cluster serves."""

CLUSTER_WIDE: Final = frozenset(
    {
        "core/Namespace",
        "core/PersistentVolume",
        "rbac.authorization.k8s.io/ClusterRole",
        "rbac.authorization.k8s.io/ClusterRoleBinding",
        "storage.k8s.io/StorageClass",
    }
)
OWNED: Final = {"apps/Deployment": ("ReplicaSet", "-[a-z0-9]+"), "batch/CronJob": ("Job", "-[0-9]+")}
"""What stands between a workload and its pods, and how its name goes on after the workload's (a regular expression)."""
ROLES: Final = ("rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole")
BINDINGS: Final = ("rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding")


def of_manifest(api_version: str, kind: str) -> str:
    """Return `GROUP/KIND`; the group without a name is `core`."""
    group, slash, _ = api_version.partition("/")
    return f"{group if slash else 'core'}/{kind}"


def of_token(token: str) -> str:
    """Return the kind of a Pulumi type token: `aws:s3/bucketV2:BucketV2` is `aws:s3/Bucket`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    if package == "kubernetes":
        return of_manifest(module if "/" in module and not module.startswith("core/") else "v1", name)
    return f"{package}:{module.partition('/')[0]}/{name.removesuffix('V2')}"
