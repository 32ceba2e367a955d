"""Reads the one cluster that a kubeconfig (a file or its content) points to."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.provider.values import Object, as_list, as_object


class KubeconfigError(ValueError):
    """The kubeconfig is missing, unreadable or incomplete; the message says which part."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where an API server is and how to prove who we are. Certificates are PEM."""

    server: str
    namespace: str
    """Default namespace of the context; empty if it names none."""
    ca: bytes | None
    client_certificate: bytes | None
    client_key: bytes | None
    token: str | None
    insecure: bool

    def __repr__(self) -> str:
        return f"Cluster({self.server!r})"


def load(kubeconfig: str, *, context: str | None = None, cluster: str | None = None) -> Cluster:
    """Return the cluster of a context, by default the current one.

    Args:
        kubeconfig: path of a file, or the content of one (YAML or JSON).
        context: name of the context to use instead of the current one.
        cluster: name of the cluster to use instead of the context's.

    Raises:
        KubeconfigError: with the part that is missing or wrong.
    """
    document, folder = _parse(kubeconfig)
    context_name = context or document.get("current-context")
    if not context_name:
        raise KubeconfigError("kubeconfig: no current-context and none was given")
    chosen = _named(document, "contexts", "context", context_name)
    target = _named(document, "clusters", "cluster", cluster or chosen.get("cluster"))
    user = _named(document, "users", "user", chosen.get("user")) if chosen.get("user") else {}
    for method in ("exec", "auth-provider"):
        if method in user:
            user_name = chosen["user"]
            raise KubeconfigError(f"kubeconfig: user {user_name!r} needs {method!r}; allowed: certificate or token")
    if not target.get("server"):
        raise KubeconfigError(f"kubeconfig: cluster {chosen.get('cluster')!r} has no server")
    return Cluster(
        server=str(target["server"]).rstrip("/"),
        namespace=str(chosen.get("namespace") or ""),
        ca=_material(target, "certificate-authority", folder),
        client_certificate=_material(user, "client-certificate", folder),
        client_key=_material(user, "client-key", folder),
        token=user.get("token"),
        insecure=bool(target.get("insecure-skip-tls-verify", False)),
    )


def _parse(kubeconfig: str) -> tuple[Object, Path]:
    is_content = "\n" in kubeconfig or kubeconfig.lstrip().startswith("{")
    path = Path(kubeconfig).expanduser() if not is_content else None
    if path is not None:
        try:
            kubeconfig = path.read_text(encoding="utf-8")
        except OSError as error:
            raise KubeconfigError(f"kubeconfig {path}: {error.strerror}") from error
    try:
        document: Any = yaml.safe_load(kubeconfig)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"kubeconfig: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError("kubeconfig: allowed is a file or its content, a mapping with clusters and contexts")
    return as_object(document), path.parent if path is not None else Path.cwd()


def _named(document: Object, section: str, key: str, wanted: object) -> Object:
    for entry in as_list(document.get(section)):
        if as_object(entry).get("name") == wanted:
            return as_object(as_object(entry).get(key))
    raise KubeconfigError(f"kubeconfig: {section} has no entry named {wanted!r}")


def _material(entry: Object, field: str, folder: Path) -> bytes | None:
    inline = entry.get(f"{field}-data")
    if inline:
        try:
            return base64.b64decode(str(inline), validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"kubeconfig: {field}-data is not base64") from error
    if entry.get(field):
        path = folder / str(entry[field])
        try:
            return path.read_bytes()
        except OSError as error:
            raise KubeconfigError(f"kubeconfig: {field} {path}: {error.strerror}") from error
    return None
