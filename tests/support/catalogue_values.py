"""What the examples of several components have in common."""

from __future__ import annotations

from typing import Final

import pulumi

from components._database import DatabaseAccess
from components._network import GatewayPeer
from components._secrets import SecretSource
from components._workload import Resources

MASTER_SECRET: Final = "the master secret of component tests"
IMAGE: Final = "registry.test/image:1.2.3"
CLIENT_IMAGE: Final = "registry.test/client:4.5.6"
GATEWAY: Final = GatewayPeer(namespace="istio-system", selector={"istio": "ingressgateway"})
DATABASE: Final = DatabaseAccess(secret="db-secret", fingerprint="db1", label="metadata-db")
RESOURCES: Final = Resources(cpu_millis=1500, memory_mib=256, memory_limit_mib=512)


def secrets() -> SecretSource:
    """Return the source of secrets of the examples."""
    return SecretSource(pulumi.Output.secret(MASTER_SECRET))
