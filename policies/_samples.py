"""Small stacks for the examples of rules over several resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policies._model import Resource

LABELS = {"app": "server"}


def workload(
    name: str = "server",
    *,
    kind: str = "apps/Deployment",
    labels: Any = LABELS,
    replicas: int = 1,
    protected: bool | None = None,
) -> Resource:
    """Return a workload with labelled pods."""
    spec: dict[str, Any] = {
        "replicas": replicas,
        "template": {"metadata": {"labels": labels}, "spec": {"containers": []}},
    }
    return thing(kind, name, {"spec": spec}, protected=protected)


def thing(kind: str, name: str, properties: Mapping[str, Any], *, protected: bool | None = None) -> Resource:
    """Return a resource of the namespace `models`."""
    metadata = {"name": name, "namespace": "models", **properties.get("metadata", {})}
    return Resource(
        kind=kind,
        name=name,
        namespace="models",
        properties={**properties, "metadata": metadata},
        urn=f"urn:pulumi:sample::sample::{kind}::{name}",
        protected=protected,
    )


def iam_policy(action: str, target: str, *, kind: str = "aws:iam/RolePolicy", name: str = "use") -> Resource:
    """Return an IAM policy that allows one action on one resource."""
    statement = {"Sid": "Use", "Effect": "Allow", "Action": [action], "Resource": [target]}
    return thing(kind, name, {"policy": json.dumps({"Statement": [statement]})})


def iam_role(principal: Any, condition: Mapping[str, Any] | None = None, *, action: Any = "sts:AssumeRole") -> Resource:
    """Return a role of AWS that one kind of principal may take."""
    statement = {"Sid": "Take", "Effect": "Allow", "Principal": principal, "Action": action}
    statement |= {"Condition": condition} if condition else {}
    return thing("aws:iam/Role", "use", {"assumeRolePolicy": json.dumps({"Statement": [statement]})})


def network_policy(selector: Any, *types: str) -> Resource:
    """Return a NetworkPolicy."""
    return thing(
        "networking.k8s.io/NetworkPolicy", "policy", {"spec": {"podSelector": selector, "policyTypes": list(types)}}
    )


def budget(selector: Any) -> Resource:
    """Return a disruption budget."""
    return thing("policy/PodDisruptionBudget", "budget", {"spec": {"maxUnavailable": 1, "selector": selector}})


def service(selector: Any, **labels: Any) -> Resource:
    """Return a Service."""
    return thing("core/Service", "server", {"metadata": {"labels": labels}, "spec": {"selector": selector}})


def database_cluster(plugins: Any, name: str = "db") -> Resource:
    """Return servers of PostgreSQL as CloudNativePG runs them."""
    return thing("postgresql.cnpg.io/Cluster", name, {"spec": {"instances": 3, "plugins": plugins}})


def backup_plan(**spec: Any) -> Resource:
    """Return a plan of backups, of the servers `db` unless another cluster is given."""
    plan = {"cluster": {"name": "db"}, "schedule": "0 0 3 * * *", **spec}
    return thing("postgresql.cnpg.io/ScheduledBackup", "daily", {"spec": plan})
