"""Cases beside the rules' own examples, where these and the corpus leave a way to weaken a rule unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from policies._model import Verdict
from policies._paths import MISSING, UNKNOWN

_BROKEN: Final = Verdict.VIOLATION
_POD: Final = "spec.template.spec"
_FIRST: Final = f"{_POD}.containers.0"
_GPU: Final = f"{_FIRST}.resources.limits[nvidia.com/gpu]"
_TURN: Final = f"{_FIRST}.resources.limits[nvidia.com/gpu.shared]"
_CLAIM: Final = {f"{_FIRST}.resources.claims": [{"name": "gpu"}]}
_ON_GPU_NODES: Final = {f"{_POD}.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
_REQUESTS: Final = "spec.spec.devices.requests"
_NAMED: Final = {"matchLabels": {"team": "shop"}}
_EXPRESSED: Final = {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}]}
_EVERY_PEER: Final[tuple[dict[str, Any], ...]] = (
    {"namespaceSelector": {}},
    {"namespaceSelector": {"matchLabels": {}, "matchExpressions": []}},
    {"namespaceSelector": {}, "podSelector": {}},
    {"namespaceSelector": {}, "podSelector": {"matchLabels": {}, "matchExpressions": []}},
    {"ipBlock": {"cidr": "128.0.0.0/1"}},
)
_MANY_PORTS: Final[tuple[list[dict[str, Any]], ...]] = (
    [],
    [{}],
    [{"protocol": "UDP"}],
    [{"port": 53}, {"protocol": "TCP"}],
    [{"port": 1, "endPort": 65535}, {"port": 53}],
)
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


def _from_anywhere(
    protocol: str, verdict: Verdict | None, **ports: int
) -> list[tuple[Mapping[str, Any], Verdict | None]]:
    """Return both forms of a rule that lets everybody in: in a group, and as a resource of its own."""
    own = {"fromPort": 443, "toPort": 443, **ports}
    return [
        ({"ingress.0": {"protocol": protocol, "cidrBlocks": ["0.0.0.0/0"], **own}}, verdict),
        ({"ipProtocol": protocol, "cidrIpv4": "0.0.0.0/0", **own}, verdict),
    ]


def _sends(ports: list[Mapping[str, Any]], **rest: Any) -> Mapping[str, Any]:
    return {"spec.egress": [{"ports": ports, **rest}]}


def _hears(ports: list[dict[str, Any]], *peers: dict[str, Any]) -> Mapping[str, Any]:
    return {"spec.ingress": [{"from": list(peers), "ports": ports}]}


def _reads_secrets(verb: str) -> tuple[Mapping[str, Any], Verdict | None]:
    return {"rules.0.resources": ["secrets"], "rules.0.verbs": [verb]}, _BROKEN


def _reaches(
    group: str, resource: str, verdict: Verdict | None, *verbs: str
) -> tuple[Mapping[str, Any], Verdict | None]:
    allowed = list(verbs) or ["update"]
    return {"rules.0.apiGroups": [group], "rules.0.resources": [resource], "rules.0.verbs": allowed}, verdict


def _changes(
    resources: str, group: str = "admissionregistration.k8s.io", verdict: Verdict | None = _BROKEN
) -> tuple[Mapping[str, Any], Verdict | None]:
    return _reaches(group, resources, verdict)


EXTRA: Final[dict[str, list[tuple[Mapping[str, Any], Verdict | None]]]] = {
    "aws-bucket-acl": [({"acl": "not-public-read"}, None), ({"acl": "public-read-later"}, None)],
    "aws-security-group-open": [
        *(case for protocol in ("tcp", "TCP", "udp", "6", "17") for case in _from_anywhere(protocol, None)),
        *(case for protocol in ("-1", "icmp", "tcp6", "xtcp") for case in _from_anywhere(protocol, _BROKEN)),
        *_from_anywhere("tcp", None, fromPort=80, toPort=80),
        *_from_anywhere("tcp", _BROKEN, toPort=65535),
        ({"cidrIpv6": "::/0", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22}, _BROKEN),
        ({"ipv6CidrBlocks": ["::/0"], "protocol": "tcp", "fromPort": 22, "toPort": 22}, _BROKEN),
        ({"cidrBlocks": ["0.0.0.0/0"], "protocol": "-1", "type": "egress"}, None),
        ({"cidrBlocks": ["0.0.0.0/0"], "protocol": "-1", "type": UNKNOWN}, Verdict.UNKNOWN),
    ],
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
        (_sends([]), _BROKEN),
        (_sends([{}]), _BROKEN),
        (_sends([{"protocol": "TCP"}]), _BROKEN),
        (_sends([{"port": 443}, {"protocol": "UDP"}]), _BROKEN),
        *((_sends([{"port": 1, "endPort": last}]), _BROKEN) for last in (2, 65535)),
        (_sends([{"port": 1, "endPort": 65535}, {"port": 443}]), _BROKEN),
        (_sends([{"port": 443, "endPort": 443}, {"port": "https"}]), None),
        (_sends([{"port": 32000, "endPort": 32768}], to=[{"ipBlock": {"cidr": "10.0.0.0/24"}}]), None),
        (_sends([{"port": 1, "endPort": 65535}], to=[{"ipBlock": {"cidr": "0.0.0.0/0"}}]), _BROKEN),
        ({"spec.egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/10"}}]}]}, None),
        *(({"spec.egress": [{"to": [{"ipBlock": {"cidr": half}}]}]}, _BROKEN) for half in ("0.0.0.0/1", "8000::/1")),
        (_sends([{"port": UNKNOWN}]), Verdict.UNKNOWN),
        (_sends([{"port": 443, "endPort": UNKNOWN}]), Verdict.UNKNOWN),
    ],
    "network-policy-open-ingress": [
        *(({"spec.ingress": [{"from": [peer]}]}, _BROKEN) for peer in _EVERY_PEER),
        ({"spec.ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]}, _BROKEN),
        ({"spec.ingress": [{"from": []}]}, _BROKEN),
        *(
            ({"spec.ingress": [{"from": [{**selector, "podSelector": {}}]}]}, None)
            for selector in ({}, {"namespaceSelector": _NAMED}, {"namespaceSelector": _EXPRESSED})
        ),
        *(
            ({"spec.ingress": [{"from": [{"namespaceSelector": {}, "podSelector": pods}]}]}, None)
            for pods in (_NAMED, _EXPRESSED)
        ),
        ({"spec.ingress": [{"from": [{"namespaceSelector": UNKNOWN}]}]}, Verdict.UNKNOWN),
        *((_hears([{"port": 53}, {"port": "dns"}], peer), None) for peer in _EVERY_PEER[:-1]),
        (_hears([{"port": 53, "endPort": 53}], {"podSelector": {}}, *_EVERY_PEER[:-1]), None),
        *((_hears(ports, {"namespaceSelector": {}}), _BROKEN) for ports in _MANY_PORTS),
        (_hears([{"port": 53}], {"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}), _BROKEN),
        (_hears([{"port": 53}]), _BROKEN),
        (_hears([{"port": 1, "endPort": 65535}], {"ipBlock": {"cidr": "10.0.0.0/8"}}), None),
        (_hears([{"port": UNKNOWN}], {"namespaceSelector": {}}), Verdict.UNKNOWN),
        (_hears([{"port": UNKNOWN}], {"namespaceSelector": _NAMED}), None),
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
    "role-reads-secrets": [
        _reads_secrets("get"),
        _reads_secrets("list"),
        _reads_secrets("watch"),
        *(_reaches(group, "*", _BROKEN, "list") for group in ("", "*")),
        _reaches("apps", "*", None, "list"),
    ],
    "role-approves-certificates": [
        *(
            _reaches("certificates.k8s.io", name, _BROKEN)
            for name in ("signers", "certificatesigningrequests/status", "*/approval", "*/status", "*")
        ),
        _reaches("*", "*/approval", _BROKEN),
        _reaches("apps", "*/status", None),
        _reaches("certificates.k8s.io", "*/signers", None),
        _reaches("certificates.k8s.io", "*", None, "get", "list", "watch"),
        *(_reaches("certificates.k8s.io", "signers", _BROKEN, "get", verb) for verb in ("approve", "sign", "*")),
    ],
    "role-mints-tokens": [
        *(_reaches(group, name, _BROKEN) for group in ("", "*") for name in ("*/token", "*")),
        _reaches("apps", "*", None),
        _reaches("", "serviceaccounts/*", None),
        _reaches("", "*", None, "get", "list", "watch"),
        *(_reaches("", "*", _BROKEN, "get", verb) for verb in ("create", "*")),
    ],
    "role-node-proxy": [
        *(_reaches(group, name, _BROKEN) for group in ("", "*") for name in ("*/proxy", "*")),
        _reaches("apps", "*", None),
        _reaches("", "services/proxy", None),
        _reaches("", "*", None, "list", "watch"),
        *(_reaches("", "nodes/proxy", _BROKEN, "list", verb) for verb in ("get", "create", "*")),
    ],
    "role-pod-exec": [
        *(
            _reaches(group, name, _BROKEN)
            for group in ("", "*")
            for name in ("pods/attach", "pods/ephemeralcontainers", "*/exec", "*/attach", "*/ephemeralcontainers", "*")
        ),
        _reaches("apps", "*", None),
        _reaches("apps", "*/exec", None),
        _reaches("", "*/log", None),
        _reaches("", "*", None, "list", "watch"),
        _reaches("", "pods/ephemeralcontainers", None, "get", "list", "watch"),
        *(_reaches("", name, _BROKEN, "list", "get") for name in ("pods/exec", "pods/attach", "*")),
        *(_reaches("", "pods/ephemeralcontainers", _BROKEN, "get", verb) for verb in ("patch", "*")),
        ({"rules.0.apiGroups": UNKNOWN, "rules.0.resources": ["*/exec"]}, Verdict.UNKNOWN),
    ],
    "role-changes-admission": [
        _changes("validatingwebhookconfigurations"),
        _changes("mutatingwebhookconfigurations"),
        _changes("validatingadmissionpolicies"),
        _changes("validatingadmissionpolicybindings"),
        _changes("mutatingadmissionpolicies"),
        _changes("mutatingadmissionpolicybindings"),
        _changes("*"),
        _changes("*", "*"),
        _changes("*", "apps", None),
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
