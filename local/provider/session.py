"""The connection to the one cluster that the stand-in serves: the embedded one, recognised by its marker."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from local.provider import kubeconfig
from local.provider.config import ProviderConfig
from local.provider.discovery import Discovery, UnknownKindError
from local.provider.kubeclient import ApiError, ClusterUnreachableError, KubeClient
from local.provider.kubeconfig import KubeconfigError
from local.provider.values import Object, pluck

MARKER_NAMESPACE: Final = "kube-system"
MARKER_NAME: Final = "mlplatform-embedded"
_MARKER_PATH: Final = f"/api/v1/namespaces/{MARKER_NAMESPACE}/configmaps/{MARKER_NAME}"


class ForeignClusterError(Exception):
    """The cluster answers, but it is not an embedded one."""


@dataclass(frozen=True)
class Session:
    """A cluster that may be changed, and how."""

    config: ProviderConfig
    client: KubeClient
    discovery: Discovery
    cancelled: threading.Event
    default_namespace: str
    instance: str
    """Name of the embedded instance, as its marker says."""

    def default_namespace_of(self, obj: Object) -> str:
        """Return the namespace for an object that names none; empty for kinds without and for unknown ones."""
        if not self.default_namespace:
            return ""
        try:
            is_namespaced = self.discovery.mapping_of(obj).is_namespaced
        except UnknownKindError:
            return ""
        return self.default_namespace if is_namespaced else ""


def connect(config: ProviderConfig, cancelled: threading.Event) -> Session:
    """Return a session with the configured cluster.

    Raises:
        ClusterUnreachableError: there is no kubeconfig, or its server does not answer.
        ForeignClusterError: the server answers and is not the embedded cluster, or does not let us look.
    """
    if config.kubeconfig is None:
        raise ClusterUnreachableError("the provider was given no kubeconfig")
    try:
        cluster = kubeconfig.load(config.kubeconfig, context=config.context, cluster=config.cluster)
    except KubeconfigError as error:
        raise ClusterUnreachableError(str(error)) from error
    client = KubeClient(cluster)
    try:
        marker = client.find(_MARKER_PATH)
    except ApiError as error:
        raise ForeignClusterError(f"{cluster.server} does not show its marker: {error}") from error
    instance = pluck(marker, "data", "instance")
    if not isinstance(instance, str) or not instance:
        raise ForeignClusterError(
            f"{cluster.server} is not an embedded mlplatform cluster: ConfigMap {MARKER_NAMESPACE}/{MARKER_NAME} with "
            "a key 'instance' is missing. This stand-in changes no other cluster; install the official Kubernetes "
            "provider plugin for this one."
        )
    return Session(
        config=config,
        client=client,
        discovery=Discovery(client),
        cancelled=cancelled,
        default_namespace=config.namespace or cluster.namespace,
        instance=instance,
    )
