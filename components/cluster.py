"""The one connection to the cluster, made explicitly: nothing ever goes to whatever the ambient context points at."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components._schema import Sensitive
from components.settings import Settings


def connect(name: str, settings: Settings) -> k8s.Provider:
    """Declare the provider of every object of the stack."""
    kubeconfig = settings.kubeconfig
    return k8s.Provider(
        name,
        kubeconfig=pulumi.Output.secret(kubeconfig.reveal()) if isinstance(kubeconfig, Sensitive) else kubeconfig,
        context=settings.context,
        cluster_identifier=settings.cluster_identifier,
        enable_server_side_apply=True,
        # Other parts address Secrets by name, so a changed one is changed in place; pods roll by an annotation.
        enable_secret_mutable=True,
    )
