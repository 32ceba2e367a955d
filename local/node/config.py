"""What one embedded node is told from outside, and the addresses that every node has inside."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from local.paths import PRIVATE_FOLDERS

# Inside: every node has a network of its own, so all nodes use the same addresses.
NODE_ADDRESS: Final = "10.240.0.1"
NODE_NETWORK: Final = "10.240.0.1/24"
POD_NETWORK: Final = "10.244.0.0/24"
SERVICE_NETWORK: Final = "10.96.0.0/16"
KUBERNETES_SERVICE_ADDRESS: Final = "10.96.0.1"
DNS_SERVICE_ADDRESS: Final = "10.96.0.10"
GATEWAY_SERVICE_ADDRESS: Final = "10.96.0.80"
"""Fixed clusterIP of Service istio-ingressgateway; the relay sends the host's gateway port there."""
GATEWAY_SERVICE_PORT: Final = 80
API_PORT: Final = 6443
ETCD_PORT: Final = 2379
CLUSTER_DOMAIN: Final = "cluster.local"

HOST_ADDRESS: Final = "127.0.0.1"
"""Address on the host at which the API server and the gateway can be reached."""

_NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,19}")


def cgroup_of(name: str, state_dir: Path) -> str:
    """Return the path of a node's own cgroup, relative to each hierarchy's root; no two nodes share one.

    With `*` for the name, it is the pattern that fits the group of whatever node has this state folder.
    """
    mark = hashlib.sha256(str(state_dir).encode()).hexdigest()[:6]
    return f"/mlplatform-{name}-{mark}"


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """One embedded node.

    Raises:
        ValueError: a field is out of range; the message names field, value and what is allowed.
    """

    name: str
    """Instance name; the Kubernetes node is called `mlplatform-<name>`."""
    state_dir: Path
    """Folder on the host that holds everything the node keeps; removed by `destroy`."""
    pause_image: str
    """Image that holds a pod's namespaces open; must be imported before the first pod starts."""
    api_port: int = 6443
    """Port on the host's 127.0.0.1 that leads to the API server."""
    gateway_port: int = 8080
    """Port on the host's 127.0.0.1 that leads to the ingress gateway."""
    binaries: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    """Binary name -> file; filled in by `start` from the toolchain."""

    def __post_init__(self) -> None:
        if not _NAME_PATTERN.fullmatch(self.name):
            raise ValueError(f"name={self.name!r}: allowed are 1 to 20 of a-z, 0-9 and '-', first a letter")
        for name, port in (("api_port", self.api_port), ("gateway_port", self.gateway_port)):
            if not 1 <= port <= 65535:
                raise ValueError(f"{name}={port}: allowed is 1 to 65535")
        if self.api_port == self.gateway_port:
            raise ValueError(f"gateway_port={self.gateway_port}: must differ from api_port")
        if not self.state_dir.is_absolute():
            raise ValueError(f"state_dir={self.state_dir}: must be an absolute path")
        if any(self.state_dir.is_relative_to(folder) for folder in PRIVATE_FOLDERS):
            raise ValueError(
                f"state_dir={self.state_dir}: must not lie below /run or /var/log, of which every node has its own"
            )

    @property
    def node_name(self) -> str:
        """Name of the Kubernetes node object."""
        return f"mlplatform-{self.name}"

    @property
    def cgroup(self) -> str:
        """Path of the node's own cgroup, relative to each hierarchy's root."""
        return cgroup_of(self.name, self.state_dir)

    def to_json(self) -> str:
        """Return the configuration as the text the supervisor reads."""
        values = asdict(self)
        values["state_dir"] = str(self.state_dir)
        return json.dumps(values, indent=2, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> NodeConfig:
        """Return the configuration that `to_json` wrote.

        Raises:
            ValueError: the text is no such configuration.
        """
        try:
            values = cast("dict[str, Any]", json.loads(text))
            values["state_dir"] = Path(values["state_dir"])
            return NodeConfig(**values)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a node configuration: {error}") from error
