"""Cases beside the rules' own examples, where these and the corpus leave a way to weaken a rule unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from policies._kinds import CONTROLLED, POD_SPECS, PODS
from policies._model import Resource, Verdict
from policies._paths import MISSING, UNKNOWN, changed
from policies._samples import (
    LABELS,
    backup_plan,
    budget,
    database_cluster,
    iam_policy,
    network_policy,
    service,
    thing,
    workload,
)

_BROKEN: Final = Verdict.VIOLATION
_POD: Final = "spec.template.spec"
_FIRST: Final = f"{_POD}.containers.0"
_GPU: Final = f"{_FIRST}.resources.limits[nvidia.com/gpu]"
_TURN: Final = f"{_FIRST}.resources.limits[nvidia.com/gpu.shared]"
_CLAIM: Final = {f"{_FIRST}.resources.claims": [{"name": "gpu"}]}
_ON_GPU_NODES: Final = {f"{_POD}.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
_REQUESTS: Final = "spec.spec.devices.requests"
_SAFE_SYSCTLS: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
)


def _image(reference: str, verdict: Verdict | None) -> tuple[Mapping[str, Any], Verdict | None]:
    return {f"{_FIRST}.image": reference}, verdict


def _variable(name: str) -> tuple[Mapping[str, Any], Verdict | None]:
    return {f"{_FIRST}.env": [{"name": name, "value": "made-up"}]}, _BROKEN


def _idle(minutes: str) -> tuple[Mapping[str, Any], Verdict | None]:
    return {_GPU: "1", "metadata.annotations[mlplatform.dev/idle-budget-minutes]": minutes}, _BROKEN


def _users(pod: Any, first: Any, before: Any) -> Mapping[str, Any]:
    """Return a pod whose parts say whether they run as root."""
    return {
        f"{_POD}.securityContext.runAsNonRoot": pod,
        f"{_FIRST}.securityContext.runAsNonRoot": first,
        f"{_POD}.initContainers": [{"name": "first", "securityContext": {"runAsNonRoot": before}}],
    }


def _profiles(pod: Any, first: Any, before: Any) -> Mapping[str, Any]:
    """Return a pod whose parts name the profile of their system calls."""
    return {
        f"{_POD}.securityContext.seccompProfile.type": pod,
        f"{_FIRST}.securityContext.seccompProfile": {"type": first},
        f"{_POD}.initContainers": [{"name": "first", "securityContext": {"seccompProfile": {"type": before}}}],
    }


def _reads_secrets(verb: str) -> tuple[Mapping[str, Any], Verdict | None]:
    return {"rules.0.resources": ["secrets"], "rules.0.verbs": [verb]}, _BROKEN


def _changes(resources: str) -> tuple[Mapping[str, Any], Verdict | None]:
    return {"rules.0.resources": [resources], "rules.0.verbs": ["update"]}, _BROKEN


EXTRA: Final[dict[str, list[tuple[Mapping[str, Any], Verdict | None]]]] = {
    "aws-bucket-acl": [({"acl": "not-public-read"}, None), ({"acl": "public-read-later"}, None)],
    "binding-cluster-admin": [({"roleRef.name": "system:masters"}, _BROKEN)],
    "config-map-secret": [
        ({"data": {key: "made-up"}}, _BROKEN) for key in ("client-secret", "ci.token", "root_passwd", "credential")
    ],
    "container-host-port": [({f"{_FIRST}.ports.0.hostPort": 1}, _BROKEN), ({f"{_FIRST}.ports.0.hostPort": 0}, None)],
    "disruption-budget-blocks": [({"spec.maxUnavailable": "0"}, _BROKEN)],
    "experiment-alpha": [({"spec.significanceLevel": 0.06}, _BROKEN)],
    "gpu-idle-budget": [
        _idle("about 30"),
        _idle("30 minutes"),
        ({_TURN: "1"}, _BROKEN),
        ({_TURN: 1}, _BROKEN),
        ({_TURN: "1", "metadata.annotations[mlplatform.dev/idle-budget-minutes]": "30"}, None),
        (_CLAIM, _BROKEN),
        ({**_CLAIM, "metadata.annotations[mlplatform.dev/idle-budget-minutes]": "30"}, None),
        ({f"{_FIRST}.resources.claims": []}, None),
        ({f"{_FIRST}.resources.claims": UNKNOWN}, Verdict.UNKNOWN),
    ],
    "gpu-claim-count": [
        ({f"{_REQUESTS}.0.exactly.count": 9}, _BROKEN),
        ({f"{_REQUESTS}.0.exactly.count": "8"}, _BROKEN),
        ({f"{_REQUESTS}.0.exactly.allocationMode": "All", f"{_REQUESTS}.0.exactly.count": MISSING}, _BROKEN),
        ({f"{_REQUESTS}.0.exactly.allocationMode": UNKNOWN}, Verdict.UNKNOWN),
        ({f"{_REQUESTS}.0.exactly.allocationMode": MISSING}, None),
        ({f"{_REQUESTS}.1": {"name": "more", "exactly": {"count": 9}}}, _BROKEN),
        (
            {_REQUESTS: [{"name": "a", "firstAvailable": [{"name": "few", "count": 1}, {"name": "b", "count": 9}]}]},
            _BROKEN,
        ),
        ({_REQUESTS: [{"name": "a", "firstAvailable": [{"name": "all", "allocationMode": "All"}]}]}, _BROKEN),
        ({_REQUESTS: [{"name": "a", "firstAvailable": [{"name": "one"}, {"name": "most", "count": 8}]}]}, None),
        ({"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"count": 9}}]}}}, _BROKEN),
        ({"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"count": 8}}]}}}, None),
        ({"spec": {"devices": {"requests": UNKNOWN}}}, Verdict.UNKNOWN),
    ],
    "gpu-node-without-gpu": [
        ({_TURN: "1", **_ON_GPU_NODES}, None),
        ({_TURN: 1, **_ON_GPU_NODES}, None),
        ({**_CLAIM, **_ON_GPU_NODES}, None),
        ({f"{_FIRST}.resources.claims": [], **_ON_GPU_NODES}, _BROKEN),
        ({f"{_POD}.resourceClaims": [{"name": "gpu", "resourceClaimName": "unused"}], **_ON_GPU_NODES}, _BROKEN),
        ({f"{_FIRST}.resources.claims": UNKNOWN, **_ON_GPU_NODES}, Verdict.UNKNOWN),
    ],
    "gpu-toleration": [
        ({_TURN: "1"}, _BROKEN),
        ({_TURN: 1}, _BROKEN),
        ({_TURN: "1", **_ON_GPU_NODES}, None),
        ({_TURN: "1", f"{_POD}.tolerations": [{"key": "", "operator": "Exists"}]}, None),
        (_CLAIM, _BROKEN),
        ({**_CLAIM, **_ON_GPU_NODES}, None),
        ({f"{_FIRST}.resources.claims": []}, None),
        ({f"{_FIRST}.resources.claims": UNKNOWN}, Verdict.UNKNOWN),
        ({f"{_POD}.containers.1": {"name": "gpu", "resources": {"limits": {"nvidia.com/gpu": 1}}}}, _BROKEN),
        ({_GPU: 1, f"{_POD}.tolerations": [{"operator": "Equal", "effect": "NoSchedule"}]}, _BROKEN),
        ({_GPU: 1, f"{_POD}.tolerations": [{"effect": "NoSchedule"}]}, _BROKEN),
    ],
    "image-registry": [_image("gcr.io/acme/server:1.0", None), _image("gcr.io.example.net/server:1.0", _BROKEN)],
    "image-version-pinned": [
        _image(f"quay.io/acme/server@sha256:{'0a' * 32}", None),
        _image(f"quay.io/acme/server:1.0@sha256:{'0a' * 32}", None),
        _image("quay.io/acme/server@sha256:0a0a", _BROKEN),
        _image(f"quay.io/acme/server@sha256:{'0a' * 32}0", _BROKEN),
        _image(f"quay.io/acme/server@sha256:{'xy' * 32}", _BROKEN),
        _image("quay.io/acme/server:-1.0", _BROKEN),
        _image("quay.io/acme/server:latest-2026", None),
    ],
    "job-deadline": [({"spec.activeDeadlineSeconds": 0}, _BROKEN)],
    "labels-recommended": [
        ({f"metadata.labels[app.kubernetes.io/{label}]": MISSING}, _BROKEN) for label in ("name", "managed-by")
    ],
    "mesh-allow-all": [
        ({"spec.rules": [{"from": [{"source": {"namespaces": ["web"]}}]}]}, None),
        *[({"spec.rules": [{empty: []}]}, _BROKEN) for empty in ("from", "to", "when")],
    ],
    "mesh-client-tls": [
        (
            {"spec.subsets": [{"name": "v1", "trafficPolicy": {"portLevelSettings": [{"tls": {"mode": mode}}]}}]},
            verdict,
        )
        for mode, verdict in (("DISABLE", _BROKEN), ("SIMPLE", None))
    ],
    "mesh-mutual-tls": [({"spec.portLevelMtls": {"80": {"mode": "PERMISSIVE"}}}, _BROKEN)],
    "network-policy-open-egress": [
        ({"spec.egress": [{"to": [{"ipBlock": {"cidr": "::/0"}}]}]}, _BROKEN),
        ({"spec.egress": [{"to": []}]}, _BROKEN),
    ],
    "pod-run-as-non-root": [
        (_users(True, True, False), _BROKEN),
        (_users(True, False, True), _BROKEN),
        (_users(None, True, None), _BROKEN),
        (_users(None, True, True), None),
        (_users(False, True, True), None),
    ],
    "pod-scratch-limit": [({f"{_POD}.volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": ""}}]}, _BROKEN)],
    "pod-seccomp-profile": [
        (_profiles("RuntimeDefault", "RuntimeDefault", "Unconfined"), _BROKEN),
        (_profiles("RuntimeDefault", "Unconfined", "RuntimeDefault"), _BROKEN),
        (_profiles(None, "Localhost", "RuntimeDefault"), None),
        (_profiles(None, "RuntimeDefault", "Localhost"), None),
        (_profiles(None, "RuntimeDefault", None), _BROKEN),
    ],
    "pod-selinux-type": [
        ({f"{_POD}.securityContext.seLinuxOptions.type": name}, None)
        for name in ("container_init_t", "container_kvm_t", "container_engine_t")
    ],
    "pod-unsafe-sysctl": [
        ({f"{_POD}.securityContext.sysctls": [{"name": name, "value": "1"} for name in _SAFE_SYSCTLS]}, None)
    ],
    "role-reads-secrets": [_reads_secrets("get"), _reads_secrets("list"), _reads_secrets("watch")],
    "role-approves-certificates": [
        ({"rules.0.resources": [name]}, _BROKEN) for name in ("signers", "certificatesigningrequests/status")
    ],
    "role-changes-admission": [
        _changes("validatingwebhookconfigurations"),
        _changes("mutatingwebhookconfigurations"),
        _changes("validatingadmissionpolicies"),
        _changes("validatingadmissionpolicybindings"),
        _changes("mutatingadmissionpolicies"),
        _changes("mutatingadmissionpolicybindings"),
    ],
    "page-behind-login": [
        *(
            ({"spec.http.0.route": [{"destination": {"host": host}}]}, _BROKEN)
            for host in (
                "grafana",
                "kube-prometheus-stack-grafana",
                "metadata-envoy-service",
                "ml-pipeline",
                "ml-pipeline-ui.kubeflow",
                "object-store",
                "prometheus",
                "tracking-server",
            )
        ),
        ({"spec.http.0.route": [{"destination": {"host": "tracking-servers"}}]}, None),
        ({"spec.http.0.route": [{"destination": {"host": "a.tracking-server"}}]}, None),
        ({"spec.http.0.route.1.destination": {"host": "tracking-server"}}, _BROKEN),
    ],
    "route-weights": [
        ({"metadata.name": "model-split", "spec.http.0.route.0.weight": -1}, _BROKEN),
        ({"metadata.name": "model-split", "spec.http.0.route.0.weight": 1000}, None),
        ({"metadata.name": "model-split-old", "spec.http.0.route.0.weight": MISSING}, None),
    ],
    "secret-in-environment": [
        _variable(name)
        for name in ("ROOT_PASSWD", "CLIENT_SECRET", "CI_TOKEN", "API_KEY", "SIGNING_PRIVATE_KEY", "AWS_CREDENTIALS")
    ],
}
"""By rule: changes of the sound resource of its example, and what is said of that."""


def _runs(kind: str, name: str = "server", labels: Any = LABELS, **spec: Any) -> Resource:
    """Return a workload of any kind, with its pods' labels where that kind has them."""
    place = POD_SPECS[kind].removesuffix("spec")
    return thing(kind, name, changed({"spec": spec, "metadata": {}}, {f"{place}metadata.labels": labels}))


def _set(name: str, claims: Any, *, protected: bool | None = None) -> Resource:
    return thing("apps/StatefulSet", name, {"spec": {"volumeClaimTemplates": claims}}, protected=protected)


def _door(name: str, selector: Any) -> Resource:
    return thing("core/Service", name, {"spec": {"selector": selector}})


def _said(kind: str, *names: str) -> set[tuple[str, Verdict]]:
    return {(f"{kind} models/{name}", _BROKEN) for name in names}


_SERVERS: Final = "postgresql.cnpg.io/Cluster"
_OF_SERVERS: Final = {"cnpg.io/cluster": "db", "cnpg.io/podRole": "instance"}
_ARCHIVER: Final = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
_CLAIMS: Final = [{"metadata": {"name": "data"}}]
_BOTH: Final = network_policy({"matchLabels": LABELS}, "Ingress", "Egress")
_MONITORED: Final = service(LABELS, **{"app.kubernetes.io/name": "monitoring"})
_BACKUP: Final = thing("batch/CronJob", "backup", {"metadata": {"labels": {"mlplatform.dev/backs-up": "second"}}})

_MODELS: Final = "arn:aws:s3:::models/*"
_IAM_POLICIES: Final = ("aws:iam/Policy", "aws:iam/RolePolicy", "aws:iam/UserPolicy")
_ATTACHMENTS: Final = ("aws:iam/RolePolicyAttachment", "aws:iam/UserPolicyAttachment")
_ADMINISTRATOR: Final = "arn:aws:iam::aws:policy/job-function/AdministratorAccess"
_VOUCHED_FOR: Final = (
    "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
    "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
    "arn:aws:iam::111122223333:policy/reads-models",
)


def _attached(kind: str, arn: object) -> Resource:
    return thing(kind, "use", {"policyArn": arn})


def _said_of(kind: str, verdict: Verdict = _BROKEN) -> set[tuple[str, Verdict]]:
    return {(f"{kind} models/use", verdict)}


EXTRA_STACKS: Final[dict[str, list[tuple[tuple[Resource, ...], set[tuple[str, Verdict]]]]]] = {
    "aws-iam-narrow": [
        *[((iam_policy("s3:Get*", _MODELS, kind=kind),), _said_of(kind)) for kind in _IAM_POLICIES],
        *[((iam_policy("s3:GetObject", "*", kind=kind),), _said_of(kind)) for kind in _IAM_POLICIES],
        *[((_attached(kind, _ADMINISTRATOR),), _said_of(kind)) for kind in _ATTACHMENTS],
        *[((_attached(kind, UNKNOWN),), _said_of(kind, Verdict.UNKNOWN)) for kind in _ATTACHMENTS],
        *[((_attached(kind, arn),), set[tuple[str, Verdict]]()) for kind in _ATTACHMENTS for arn in _VOUCHED_FOR],
    ],
    "service-without-pods": [
        *[((_runs(kind), _door("lost", {"app": "sever"})), _said("core/Service", "lost")) for kind in PODS],
        *[((_runs(kind), _door("found", LABELS)), set[tuple[str, Verdict]]()) for kind in PODS],
        (
            (workload(), database_cluster([]), _door("found", _OF_SERVERS), _door("lost", {"cnpg.io/cluster": "no"})),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), replace(database_cluster([]), namespace="other"), _door("lost", _OF_SERVERS)),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), database_cluster([]), _door("found", _OF_SERVERS), _door("lost", {"app": "db"})),
            _said("core/Service", "lost"),
        ),
        (
            (workload(), _door("by-hand", None), _door("found", LABELS), _door("lost", {"app": "sever"})),
            _said("core/Service", "lost"),
        ),
    ],
    "database-cluster-backup": [
        ((database_cluster(MISSING), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([]), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([{"isWALArchiver": False}]), backup_plan()), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]),), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), backup_plan(cluster={"name": "another"})), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), replace(backup_plan(), namespace="other")), _said(_SERVERS, "db")),
        ((database_cluster([_ARCHIVER]), database_cluster([], "second"), backup_plan()), _said(_SERVERS, "second")),
        ((database_cluster(UNKNOWN), backup_plan()), {(f"{_SERVERS} models/db", Verdict.UNKNOWN)}),
        ((database_cluster(UNKNOWN),), _said(_SERVERS, "db")),
        (
            (database_cluster([_ARCHIVER]), backup_plan(cluster={"name": UNKNOWN})),
            {(f"{_SERVERS} models/db", Verdict.UNKNOWN)},
        ),
        ((database_cluster([]), backup_plan(cluster={"name": UNKNOWN})), _said(_SERVERS, "db")),
    ],
    "stateful-backup": [
        (
            (_set("empty", []), _set("none", None), _set("second", _CLAIMS), _set("third", _CLAIMS), _BACKUP),
            _said("apps/StatefulSet", "third"),
        ),
    ],
    "stateful-protected": [
        (
            (_set("empty", [], protected=False), _set("third", _CLAIMS, protected=False)),
            _said("apps/StatefulSet", "third"),
        ),
    ],
    "workload-disruption-budget": [
        ((workload(kind="apps/StatefulSet", replicas=2),), _said("apps/StatefulSet", "server")),
        ((workload(kind="apps/StatefulSet", replicas=2), budget({"matchLabels": LABELS})), set()),
        ((_runs("apps/Deployment", replicas=2.0),), _said("apps/Deployment", "server")),
        ((_runs("apps/Deployment", replicas="many"), _runs("apps/Deployment", "other")), set()),
    ],
    "workload-monitored": [
        *[((_runs(kind),), _said(kind, "server")) for kind in CONTROLLED],
        *[((_runs(kind), _MONITORED), set[tuple[str, Verdict]]()) for kind in CONTROLLED],
    ],
    "workload-network-policy": [
        *[((_runs(kind),), _said(kind, "server")) for kind in PODS],
        *[((_runs(kind), _BOTH), set[tuple[str, Verdict]]()) for kind in PODS],
        (
            (
                workload(),
                thing("networking.k8s.io/NetworkPolicy", "in", {"spec": {"podSelector": {}}}),
                network_policy({}, "Egress"),
            ),
            set(),
        ),
    ],
}
"""By rule over several resources: a stack, and what is said of which resources."""

REPAIRS: Final[dict[str, Mapping[str, Any]]] = {
    "account-token": {"automountServiceAccountToken": False},
    "aws-bucket-public-access": {
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    },
    "aws-database-deletion": {"deletionProtection": True, "skipFinalSnapshot": False},
    "aws-database-public": {"publiclyAccessible": False},
    "aws-images-immutable": {"imageTagMutability": "IMMUTABLE"},
    "aws-images-scanned": {"imageScanningConfiguration.scanOnPush": True},
    "aws-key-rotation": {"enableKeyRotation": True},
    "container-capabilities-kept": {"securityContext.capabilities.drop": ["ALL"]},
    "container-privilege-escalation": {"securityContext.allowPrivilegeEscalation": False},
    "container-privileged": {"securityContext.privileged": False},
    "container-proc-mount": {"securityContext.procMount": "Default"},
    "cron-job-overlap": {"spec.concurrencyPolicy": "Forbid"},
    "image-pull-policy": {"imagePullPolicy": "IfNotPresent"},
    "mesh-mutual-tls": {"spec.mtls.mode": "STRICT"},
    "pod-account-token": {"automountServiceAccountToken": False},
    "pod-host-ipc": {"hostIPC": False},
    "pod-host-network": {"hostNetwork": False},
    "pod-host-pid": {"hostPID": False},
    "pod-run-as-non-root": {"securityContext.runAsNonRoot": True},
    "pod-seccomp-profile": {"securityContext.seccompProfile.type": "RuntimeDefault"},
    "pod-service-links": {"enableServiceLinks": False},
    "stateful-set-keeps-data": {
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
    },
    "volume-reclaim": {"spec.persistentVolumeReclaimPolicy": "Retain"},
}
"""What each rule that offers a repair writes, below the part that it judges; all others offer none."""
