"""A team: a namespace of its own, what its people may do in it, how much it may take, and what it may reach.

Everything else is closed to it: other teams' namespaces, and of the platform's all but the services that are named
here. What a team's pods may use of the platform they say by the access labels of those services, as the platform's own
pods do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right, grant_groups, service_account
from components._base import PlatformComponent
from components._labels import object_labels
from components._network import (
    ServicePeer,
    allow_among,
    allow_cloud,
    allow_dns,
    allow_from_abroad,
    allow_to_pods,
    deny_all,
    network_policy,
)
from components._quota import Quota
from ml.contracts import COST_CENTER_LABEL, LABEL_DOMAIN, OBJECT_STORE_SERVICE, TEAM_LABEL, access_label

_NAME = "team"
_POD_SECURITY_LEVEL = "restricted"
_POD_SECURITY_MODES = ("enforce", "audit", "warn")
_READ = ("get", "list", "watch")
_ALL = (*_READ, "create", "update", "patch", "delete", "deletecollection")
_DEFAULT_REQUEST = {"cpu": "100m", "memory": "256Mi"}
_DEFAULT_LIMIT = {"memory": "512Mi"}


@dataclass(frozen=True, kw_only=True)
class TeamBucket:
    """A bucket of the platform's own store, and the one key pair that opens it."""

    access_key: str
    secret_key: pulumi.Input[str]
    bucket: str
    endpoint: str
    """Address that is known in every namespace."""


@dataclass(frozen=True, kw_only=True)
class TeamArgs:
    """Who the team is and what it gets."""

    team: str
    namespace: str
    groups: tuple[str, ...]
    cost_center: str
    quota: Quota
    claims: bool = False
    """Whether GPUs are claimed as devices, which people of the team then may do."""
    services: tuple[ServicePeer, ...]
    """What its pods may reach in the platform's namespace."""
    platform_namespace: pulumi.Input[str]
    bucket: TeamBucket | None
    """None where the cloud's own store is used: who the pods are opens it."""
    protect: bool
    """Whether Pulumi refuses to delete the namespace; with it would go all that the team has in it."""


class Team(PlatformComponent):
    """A namespace with rights, quota and the few ways out of it."""

    namespace: pulumi.Output[str]
    bucket_secret: pulumi.Output[str] | None
    """Name of the Secret, in the team's namespace, with keys access-key, secret-key, bucket and endpoint."""
    account: pulumi.Output[str] | None
    """Service account whose pods the cloud knows as the team's, where there is no key."""

    def __init__(self, name: str, args: TeamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = {**object_labels(_NAME, name), TEAM_LABEL: args.team, COST_CENTER_LABEL: args.cost_center}
        security = {f"pod-security.kubernetes.io/{mode}": _POD_SECURITY_LEVEL for mode in _POD_SECURITY_MODES}
        made = k8s.core.v1.Namespace(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=args.namespace, labels={**self._labels, **security}),
            opts=self.child(protect=args.protect),
        )
        self.namespace = made.metadata.name.apply(str)
        self._limit()
        self._create_rights()
        self._create_policies()
        self.bucket_secret = self._create_secret(args.bucket) if args.bucket else None
        self.account = None if args.bucket else self._create_account()
        self.finish(namespace=self.namespace, bucketSecret=self.bucket_secret, account=self.account)

    def _limit(self) -> None:
        """Say how much the team may take, and what a container gets that says nothing."""
        quota = self._args.quota
        k8s.core.v1.ResourceQuota(
            f"{self._name}-quota",
            metadata=self._metadata("team"),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(hard=quota.hard(by_claims=self._args.claims)),
            opts=self.child(),
        )
        k8s.core.v1.LimitRange(
            f"{self._name}-limits",
            metadata=self._metadata("team"),
            spec=k8s.core.v1.LimitRangeSpecArgs(
                limits=[
                    k8s.core.v1.LimitRangeItemArgs(
                        type="Container",
                        default=_DEFAULT_LIMIT,
                        default_request=_DEFAULT_REQUEST,
                        max={"memory": f"{quota.memory_gib}Gi"},
                    ),
                    k8s.core.v1.LimitRangeItemArgs(
                        type="PersistentVolumeClaim", max={"storage": f"{quota.storage_gib}Gi"}
                    ),
                ]
            ),
            opts=self.child(),
        )

    def _create_rights(self) -> None:
        args = self._args
        grant_groups(
            self,
            self._name,
            groups=args.groups,
            namespace=self.namespace,
            labels=self._labels,
            rights=_own_rights(claims=args.claims),
        )
        # Experiments move traffic of models that all share: teams see them, and change them through the API only, which
        # checks and records what they want.
        grant_groups(
            self,
            f"{self._name}-experiments",
            groups=args.groups,
            namespace=args.platform_namespace,
            labels=self._labels,
            rights=[Right(group=LABEL_DOMAIN, resource="abtests", verbs=_READ)],
        )

    def _create_policies(self) -> None:
        args = self._args
        for role, spec in (("deny-all", deny_all()), ("allow-dns", allow_dns()), ("among", allow_among({}))):
            self._policy(role, spec, self.namespace)
        for peer in args.services:
            clients = access_label(peer.service)
            out = allow_to_pods(clients, peer.selector, [peer.port], namespace=peer.namespace)
            self._policy(f"to-{peer.service}", out, self.namespace)
            into = allow_from_abroad(peer, clients, namespace=args.namespace)
            self._policy(f"into-{peer.service}", into, args.platform_namespace)

    def _policy(self, role: str, spec: k8s.networking.v1.NetworkPolicySpecArgs, namespace: pulumi.Input[str]) -> None:
        network_policy(self, f"{self._name}-{role}", spec, namespace=namespace, labels=self._labels)

    def _create_secret(self, bucket: TeamBucket) -> pulumi.Output[str]:
        secret = k8s.core.v1.Secret(
            f"{self._name}-bucket",
            metadata=self._metadata(OBJECT_STORE_SERVICE),
            string_data={
                "access-key": bucket.access_key,
                "secret-key": bucket.secret_key,
                "bucket": bucket.bucket,
                "endpoint": bucket.endpoint,
            },
            opts=self.child(),
        )
        return secret.metadata.name.apply(str)

    def _create_account(self) -> pulumi.Output[str]:
        """Declare who the team's pods are to the cloud; those that say that they use the store may call it."""
        self._policy("to-cloud", allow_cloud(access_label(OBJECT_STORE_SERVICE)), self.namespace)
        return service_account(self, self._name, self.namespace, self._labels)

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self.namespace, labels=self._labels)


def _own_rights(*, claims: bool) -> list[Right]:
    """What people of a team may do in their namespace: run things and look at them.

    Neither rights, nor quotas, nor network policies are among it, nor entering a running container. Of Secrets they may
    read the one of their bucket; what they make themselves their pods can read.
    """
    kinds: Mapping[tuple[str, ...], Mapping[str, Sequence[str]]] = {
        _ALL: {
            "": ("configmaps", "persistentvolumeclaims", "pods", "services"),
            "apps": ("deployments", "deployments/scale", "statefulsets", "statefulsets/scale"),
            "batch": ("cronjobs", "jobs"),
            "autoscaling": ("horizontalpodautoscalers",),
            "policy": ("poddisruptionbudgets",),
            **({"resource.k8s.io": ("resourceclaims", "resourceclaimtemplates")} if claims else {}),
        },
        _READ: {
            "": ("events", "limitranges", "pods/log", "resourcequotas", "serviceaccounts"),
            "apps": ("replicasets",),
            "networking.k8s.io": ("networkpolicies",),
            "metrics.k8s.io": ("pods",),
        },
        ("create", "update", "patch", "delete"): {"": ("secrets",)},
        ("create",): {"": ("pods/portforward",)},
    }
    return [
        *(
            Right(group=group, resource=resource, verbs=verbs)
            for verbs, groups in kinds.items()
            for group, resources in groups.items()
            for resource in resources
        ),
        Right(group="", resource="secrets", verbs=("get",), names=(OBJECT_STORE_SERVICE,)),
    ]
