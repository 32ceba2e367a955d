"""The embedded node: a whole Kubernetes in namespaces of its own, without a container engine.

`start` returns a NodeHandle once the node is ready; `install_addons` then adds name service, metrics, storage class and
the mesh's resource definitions from images that have been imported, `install_prerequisite` what a stack asks for.
"""

from local.node.addons import install_addons
from local.node.config import GATEWAY_SERVICE_ADDRESS, NodeConfig
from local.node.errors import NodeError
from local.node.handle import NodeHandle
from local.node.lifecycle import NodeStatus, attach, destroy, is_running, start, status, stop
from local.node.prerequisites import PREREQUISITES, install_prerequisite
from local.node.services import NODE_TOOLS

__all__ = [
    "GATEWAY_SERVICE_ADDRESS",
    "NODE_TOOLS",
    "PREREQUISITES",
    "NodeConfig",
    "NodeError",
    "NodeHandle",
    "NodeStatus",
    "attach",
    "destroy",
    "install_addons",
    "install_prerequisite",
    "is_running",
    "start",
    "status",
    "stop",
]
