"""The one connection to the cluster, made explicitly: nothing ever goes to whatever the ambient context points at."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components._schema import Sensitive
from components.settings import Settings


def connect(name: str, settings: Settings, made: pulumi.Output[str] | None = None) -> k8s.Provider:
    """Declare the provider of every object of the stack; `made` is the kubeconfig of a cluster that the stack makes."""
    given = settings.kubeconfig
    kubeconfig = pulumi.Output.secret(given.reveal()) if isinstance(given, Sensitive) else given
    return k8s.Provider(
        name,
        kubeconfig=kubeconfig if made is None else made,
        context=settings.context,
        cluster_identifier=settings.cluster_identifier,
        enable_server_side_apply=True,
        # Other parts address Secrets by name, so a changed one is changed in place; pods roll by an annotation.
        enable_secret_mutable=True,
    )
