"""Builders of service accounts and of exactly what each may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent


@dataclass(frozen=True, kw_only=True)
class Right:
    """Verbs on one kind of object; with `names` only on the objects so called."""

    group: str
    """API group; empty for Kubernetes' own first one."""
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


def service_account(
    component: PlatformComponent, name: str, namespace: pulumi.Input[str], labels: Mapping[str, str]
) -> pulumi.Output[str]:
    """Declare an account whose token only those pods get that ask for it; return its name."""
    account = k8s.core.v1.ServiceAccount(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labels)),
        automount_service_account_token=False,
        opts=component.child(),
    )
    return account.metadata.name.apply(str)


def grant(
    component: PlatformComponent,
    name: str,
    *,
    account: pulumi.Input[str],
    account_namespace: pulumi.Input[str],
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    rights: Sequence[Right],
) -> None:
    """Let an account do these things in a namespace, its own or another."""
    subject = k8s.rbac.v1.SubjectArgs(kind="ServiceAccount", name=account, namespace=account_namespace)
    _bind(component, name, subjects=[subject], namespace=namespace, labels=labels, rights=rights)


def grant_groups(
    component: PlatformComponent,
    name: str,
    *,
    groups: Sequence[str],
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    rights: Sequence[Right],
) -> None:
    """Let the members of groups, as the cluster's identity provider names them, do these things in a namespace."""
    subjects = [
        k8s.rbac.v1.SubjectArgs(kind="Group", name=group, api_group="rbac.authorization.k8s.io") for group in groups
    ]
    _bind(component, name, subjects=subjects, namespace=namespace, labels=labels, rights=rights)


def _bind(
    component: PlatformComponent,
    name: str,
    *,
    subjects: Sequence[k8s.rbac.v1.SubjectArgs],
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    rights: Sequence[Right],
) -> None:
    role = k8s.rbac.v1.Role(
        f"{name}-role",
        metadata=k8s.meta.v1.ObjectMetaArgs(namespace=namespace, labels=dict(labels)),
        rules=[
            k8s.rbac.v1.PolicyRuleArgs(
                api_groups=[right.group],
                resources=[right.resource],
                verbs=list(right.verbs),
                resource_names=list(right.names) or None,
            )
            for right in rights
        ],
        opts=component.child(),
    )
    k8s.rbac.v1.RoleBinding(
        f"{name}-binding",
        metadata=k8s.meta.v1.ObjectMetaArgs(namespace=namespace, labels=dict(labels)),
        role_ref=k8s.rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name),
        subjects=list(subjects),
        opts=component.child(),
    )
