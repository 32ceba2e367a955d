"""A sound resource of every kind that an example starts from."""

from __future__ import annotations

from typing import Any, Final

_LABELS: Final = {
    "app.kubernetes.io/name": "server",
    "app.kubernetes.io/part-of": "mlplatform",
    "app.kubernetes.io/managed-by": "pulumi",
}
_POD: Final[dict[str, Any]] = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "server",
            "image": "docker.io/library/server:1.0",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
            "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
            "startupProbe": {"httpGet": {"path": "/ready", "port": 8080}, "failureThreshold": 60},
        }
    ],
}
_TEMPLATE: Final[dict[str, Any]] = {"metadata": {"labels": _LABELS}, "spec": _POD}
_SELECTOR: Final = {"matchLabels": {"app.kubernetes.io/name": "server"}}
_ONCE: Final[dict[str, Any]] = {
    "metadata": {"labels": _LABELS},
    "spec": {
        **_POD,
        "restartPolicy": "Never",
        "containers": [{key: item for key, item in _POD["containers"][0].items() if not key.endswith("Probe")}],
    },
}
_CLAIM: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
_OWNED: Final = {"owner": "platform", "cost-center": "research"}


def _object(api_version: str, kind: str, *, namespaced: bool = True, **fields: Any) -> tuple[str, dict[str, Any]]:
    metadata: dict[str, Any] = {"name": "example", "labels": dict(_LABELS)}
    if namespaced:
        metadata["namespace"] = "models"
    return kind, {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


_RBAC: Final = "rbac.authorization.k8s.io"
_RULES: Final = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
_SUBJECTS: Final = [{"kind": "ServiceAccount", "name": "controller", "namespace": "models"}]
_UID: Final = "6f1c5a0e-6d8e-4c0f-9a57-0e5a7c1f2b11"
_EXPERIMENT: Final = {
    "model": "content_quality_model",
    "primary": {"name": "clicked", "aggregation": "any", "baseline": 0.1, "minimumEffect": 0.02},
    "guardrails": [{"kind": "errors", "limitPercent": 1}],
    "expectedUnitsPerDay": 10_000,
    "power": 0.8,
    "significanceLevel": 0.05,
}

MANIFESTS: Final[dict[str, dict[str, Any]]] = dict(
    (
        _object("v1", "Pod", spec=_POD),
        _object("apps/v1", "Deployment", spec={"replicas": 1, "selector": _SELECTOR, "template": _TEMPLATE}),
        _object(
            "apps/v1",
            "StatefulSet",
            spec={
                "replicas": 1,
                "serviceName": "server",
                "selector": _SELECTOR,
                "template": _TEMPLATE,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": _CLAIM}],
            },
        ),
        _object("apps/v1", "ReplicaSet", spec={"replicas": 1, "selector": _SELECTOR, "template": _TEMPLATE}),
        _object("apps/v1", "DaemonSet", spec={"selector": _SELECTOR, "template": _TEMPLATE}),
        _object("batch/v1", "Job", spec={"activeDeadlineSeconds": 900, "backoffLimit": 6, "template": _ONCE}),
        _object(
            "batch/v1",
            "CronJob",
            spec={
                "schedule": "0 3 * * *",
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {"spec": {"template": _ONCE}},
            },
        ),
        _object("v1", "Service", spec={"selector": {"app.kubernetes.io/name": "server"}, "ports": [{"port": 80}]}),
        _object("v1", "ServiceAccount", automountServiceAccountToken=False),
        _object("v1", "Secret", type="Opaque", stringData={"password": "made-up"}),
        _object("v1", "ConfigMap", data={"level": "info"}),
        _object("v1", "PersistentVolumeClaim", spec=_CLAIM),
        _object(
            "v1",
            "PersistentVolume",
            namespaced=False,
            spec={
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"},
            },
        ),
        _object(
            "storage.k8s.io/v1",
            "StorageClass",
            namespaced=False,
            provisioner="ebs.csi.aws.com",
            parameters={"encrypted": "true"},
        ),
        _object(f"{_RBAC}/v1", "Role", rules=_RULES),
        _object(f"{_RBAC}/v1", "ClusterRole", namespaced=False, rules=_RULES),
        _object(
            f"{_RBAC}/v1",
            "RoleBinding",
            roleRef={"apiGroup": _RBAC, "kind": "Role", "name": "reader"},
            subjects=_SUBJECTS,
        ),
        _object(
            f"{_RBAC}/v1",
            "ClusterRoleBinding",
            namespaced=False,
            roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": "reader"},
            subjects=_SUBJECTS,
        ),
        _object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": {}}]}],
                "egress": [{"to": [{"podSelector": {}}]}],
            },
        ),
        _object(
            "networking.k8s.io/v1",
            "Ingress",
            spec={
                "tls": [{"hosts": ["a.example.org"], "secretName": "tls"}],
                "defaultBackend": {"service": {"name": "server", "port": {"number": 80}}},
            },
        ),
        _object(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server"},
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                    }
                ],
            },
        ),
        _object(
            "resource.k8s.io/v1",
            "ResourceClaimTemplate",
            spec={
                "spec": {
                    "devices": {
                        "requests": [
                            {
                                "name": "gpu",
                                "exactly": {
                                    "deviceClassName": "gpu.nvidia.com",
                                    "allocationMode": "ExactCount",
                                    "count": 1,
                                },
                            }
                        ]
                    }
                }
            },
        ),
        _object("policy/v1", "PodDisruptionBudget", spec={"maxUnavailable": 1, "selector": _SELECTOR}),
        _object(
            "networking.istio.io/v1",
            "Gateway",
            spec={
                "selector": {"istio": "ingressgateway"},
                "servers": [
                    {
                        "port": {"name": "https", "number": 443, "protocol": "HTTPS"},
                        "hosts": ["./a.example.org"],
                        "tls": {"mode": "SIMPLE", "credentialName": "tls"},
                    }
                ],
            },
        ),
        _object(
            "networking.istio.io/v1",
            "VirtualService",
            spec={
                "hosts": ["a.example.org"],
                "http": [{"route": [{"destination": {"host": "server"}, "weight": 100}]}],
            },
        ),
        _object("networking.istio.io/v1", "DestinationRule", spec={"host": "server"}),
        _object(
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            spec={"workloadSelector": {"labels": {"istio": "ingressgateway"}}, "configPatches": []},
        ),
        _object("security.istio.io/v1", "PeerAuthentication", spec={"mtls": {"mode": "STRICT"}}),
        _object(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            spec={"action": "ALLOW", "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]},
        ),
        _object(
            "security.istio.io/v1",
            "RequestAuthentication",
            spec={"jwtRules": [{"issuer": "https://issuer.example.org", "jwksUri": "https://issuer.example.org/k"}]},
        ),
        _object("mlplatform.dev/v1alpha1", "ABTest", spec=_EXPERIMENT),
        _object("v1", "Namespace", namespaced=False),
    )
)
MANIFESTS["ReplicaSet"]["metadata"]["ownerReferences"] = [
    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server", "uid": _UID}
]
MANIFESTS["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"

CLOUD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "BucketPublicAccessBlock": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
            "bucket": "models",
            **dict.fromkeys(
                ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
            ),
        },
    ),
    "Bucket": ("aws:s3/bucketV2:BucketV2", {"bucket": "models", "tags": _OWNED}),
    "Instance": (
        "aws:rds/instance:Instance",
        {
            "engine": "postgres",
            "storageEncrypted": True,
            "publiclyAccessible": False,
            "deletionProtection": True,
            "multiAz": True,
            "backupRetentionPeriod": 14,
            "tags": _OWNED,
        },
    ),
    "Volume": ("aws:ebs/volume:Volume", {"size": 100, "encrypted": True, "tags": _OWNED}),
    "SecurityGroup": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["10.0.0.0/16"]}]},
    ),
    "Policy": (
        "aws:iam/policy:Policy",
        {"policy": '{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'},
    ),
    "PolicyAttachment": (
        "aws:iam/policyAttachment:PolicyAttachment",
        {"policyArn": "arn:aws:iam::111122223333:policy/reads-models", "roles": ["shop"]},
    ),
    "AccessKey": ("aws:iam/accessKey:AccessKey", {"user": "backup", "status": "Inactive"}),
    "Cluster": (
        "aws:eks/cluster:Cluster",
        {
            "vpcConfig": {"endpointPublicAccess": False},
            "encryptionConfig": {
                "resources": ["secrets"],
                "provider": {"keyArn": "arn:aws:kms:eu-west-1:111122223333:key/1"},
            },
            "tags": _OWNED,
        },
    ),
    "Key": ("aws:kms/key:Key", {"enableKeyRotation": True, "tags": _OWNED}),
    "Repository": (
        "aws:ecr/repository:Repository",
        {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}, "tags": _OWNED},
    ),
}
