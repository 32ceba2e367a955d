"""Where the node's files lie, as the host sees them and as the node sees them.

Inside the node the state folder is always mounted at /run/mlplatform. That keeps socket paths short (the kernel allows
108 bytes), mount options small, and every generated file independent of where the user keeps the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

INSIDE: Final = Path("/run/mlplatform")
"""The state folder as the node's own processes see it."""
RUNTIME: Final = Path("/run/mlplatform-runtime")
"""Sockets and other things that must not outlive the node; a folder in the node's private /run."""
CONTAINERD_SOCKET: Final = RUNTIME / "containerd.sock"


@dataclass(frozen=True)
class Layout:
    """Paths below one root, which is either the state folder (host's view) or INSIDE (node's view)."""

    root: Path

    @property
    def spec(self) -> Path:
        """The running node's configuration as JSON."""
        return self.root / "node.json"

    @property
    def lock(self) -> Path:
        """Held while somebody starts or stops the node."""
        return self.root / "lock"

    @property
    def host_kubeconfig(self) -> Path:
        """Kubeconfig for people and tools on the host."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificate authorities, certificates and keys."""
        return self.root / "pki"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs of the node's own processes."""
        return self.root / "kubeconfigs"

    @property
    def settings(self) -> Path:
        """Generated configuration files of the node's processes."""
        return self.root / "settings"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def etcd(self) -> Path:
        """The cluster's objects."""
        return self.root / "etcd"

    @property
    def containerd(self) -> Path:
        """Images and container file systems."""
        return self.root / "containerd"

    @property
    def kubelet(self) -> Path:
        """The kubelet's own records and the pods' volumes."""
        return self.root / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """Log files of containers."""
        return self.root / "pods"

    @property
    def volumes(self) -> Path:
        """One folder per provisioned PersistentVolume."""
        return self.root / "volumes"

    @property
    def kubectl_cache(self) -> Path:
        """What kubectl remembers about the API; given to it as KUBECACHEDIR."""
        return self.root / "kubectl-cache"

    def folders(self) -> tuple[Path, ...]:
        """Return the folders that must exist before the node starts."""
        return (
            self.pki,
            self.kubeconfigs,
            self.settings,
            self.logs,
            self.etcd,
            self.containerd,
            self.kubelet,
            self.pod_logs,
            self.volumes,
        )
