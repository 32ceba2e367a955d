"""What has a stack deployed from Git by what runs in a cluster: a Stack of Pulumi's Kubernetes operator.

With Argo CD in front, Argo CD keeps these few objects as Git has them, and the operator deploys the platform. Argo CD
never gets the platform's own objects: docs/adr/0008-delivery.md says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

_OPERATOR: Final = "pulumi.com/v1"
_ACCOUNT: Final = "deployer"
_PROJECT: Final = "mlplatform"
_KUBECONFIG_DIR: Final = "/etc/mlplatform/kubeconfig"
_POLL_SECONDS: Final = 300
_DRIFT_SECONDS: Final = 3600
_LABELS: Final = {"app.kubernetes.io/part-of": _PROJECT, "app.kubernetes.io/name": "delivery"}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What is deployed, from where, by what."""

    stack: str
    repository: str
    """Address of the Git repository."""
    branch: str
    backend: str
    """Where Pulumi keeps the state."""
    image: str
    """What the operator runs the program in: Pulumi, Python 3.11 and the program's packages."""
    own_cluster: bool
    """Whether the stack makes its own cluster; otherwise a Secret holds the way to the given one."""

    @property
    def namespace(self) -> str:
        """Where all of this lies."""
        return f"{_PROJECT}-delivery-{self.stack}"

    @property
    def secret(self) -> str:
        """Name of the Secret with keys passphrase and, where the cluster is given, kubeconfig: made by a person."""
        return f"{self.stack}-delivery"

    @property
    def folder(self) -> str:
        """Where in the repository Argo CD finds the operator's objects."""
        return f"delivery/{self.stack}"


def operator_objects(delivery: Delivery) -> list[dict[str, Any]]:
    """Return the objects that have the operator deploy a stack, and look every hour whether it still is as declared."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    name = f"{delivery.namespace}-workspaces"
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": delivery.namespace, "labels": {**_LABELS, **levels}},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": _ACCOUNT, "namespace": delivery.namespace, "labels": _LABELS},
        },
        # A workspace asks the API server who calls it. Its rights to deploy come from the Secret or from the cloud.
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "labels": _LABELS},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": delivery.namespace}],
        },
        _stack(delivery, f"{_PROJECT}-{delivery.stack}", {"resyncFrequencySeconds": _POLL_SECONDS}),
        # Deploys nothing: it fails, and so can be alerted on, when a refresh finds that something was changed by hand.
        _stack(
            delivery,
            f"{_PROJECT}-{delivery.stack}-drift",
            {
                "preview": True,
                "refresh": True,
                "expectNoRefreshChanges": True,
                "continueResyncOnCommitMatch": True,
                "resyncFrequencySeconds": _DRIFT_SECONDS,
            },
        ),
    ]


def argo_objects(delivery: Delivery, project: str) -> list[dict[str, Any]]:
    """Return the Application by which Argo CD keeps the operator's objects as Git has them."""
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": f"{_PROJECT}-delivery-{delivery.stack}", "namespace": "argocd", "labels": _LABELS},
            "spec": {
                "project": project,
                "source": {
                    "repoURL": delivery.repository,
                    "targetRevision": delivery.branch,
                    "path": delivery.folder,
                    "directory": {"recurse": False},
                },
                "destination": {"server": "https://kubernetes.default.svc", "namespace": delivery.namespace},
                "syncPolicy": {
                    # What vanishes from Git is not removed: with the Stack would go the record of who deploys.
                    "automated": {"prune": False, "selfHeal": True},
                    "syncOptions": ["ServerSideApply=true", "CreateNamespace=false"],
                    "retry": {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"}},
                },
            },
        }
    ]


def documents(objects: Sequence[Mapping[str, Any]]) -> str:
    """Return objects as YAML, one document each."""
    return "".join(f"---\n{yaml.dump(dict(item), Dumper=_Dumper, sort_keys=False, width=1000)}" for item in objects)


class _Dumper(yaml.SafeDumper):
    """Writes what is there twice twice: nobody who reviews YAML should have to follow references."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base's signature
        return True


def _stack(delivery: Delivery, name: str, behaviour: Mapping[str, Any]) -> dict[str, Any]:
    given = not delivery.own_cluster
    return {
        "apiVersion": _OPERATOR,
        "kind": "Stack",
        "metadata": {"name": name, "namespace": delivery.namespace, "labels": _LABELS},
        "spec": {
            "stack": delivery.stack,
            "projectRepo": delivery.repository,
            "branch": delivery.branch,
            "shallow": True,
            "backend": delivery.backend,
            "serviceAccountName": _ACCOUNT,
            "envRefs": {
                "PULUMI_CONFIG_PASSPHRASE": {
                    "type": "Secret",
                    "secret": {"name": delivery.secret, "key": "passphrase"},
                },
                **(
                    {"KUBECONFIG": {"type": "Literal", "literal": {"value": f"{_KUBECONFIG_DIR}/kubeconfig"}}}
                    if given
                    else {}
                ),
            },
            # A stack is made by a person, who chooses its secrets provider; and it goes by a person's hand.
            "useLocalStackOnly": True,
            "destroyOnFinalize": False,
            **behaviour,
            "workspaceTemplate": {
                "spec": {
                    "image": delivery.image,
                    "securityProfile": "restricted",
                    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
                    **({"podTemplate": _with_kubeconfig(delivery.secret)} if given else {}),
                }
            },
        },
    }


def _with_kubeconfig(secret: str) -> dict[str, Any]:
    items = [{"key": "kubeconfig", "path": "kubeconfig"}]
    return {
        "spec": {
            "volumes": [{"name": "kubeconfig", "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}],
            "containers": [
                {
                    "name": "pulumi",
                    "volumeMounts": [{"name": "kubeconfig", "mountPath": _KUBECONFIG_DIR, "readOnly": True}],
                }
            ],
        }
    }
