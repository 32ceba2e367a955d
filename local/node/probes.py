"""Whether a part of the node answers. One short attempt each; the caller decides how often."""

from __future__ import annotations

import http.client
import socket
import ssl

from local.node.config import API_PORT, ETCD_PORT, NODE_ADDRESS
from local.node.layout import CONTAINERD_SOCKET
from local.node.services import Need

_TIMEOUT_SECONDS = 1.0


def answers(need: Need) -> bool:
    """Return whether what a process needs is there, seen from inside the node."""
    if need == "etcd":
        return _accepts(socket.AF_INET, ("127.0.0.1", ETCD_PORT))
    if need == "containerd":
        return _accepts(socket.AF_UNIX, str(CONTAINERD_SOCKET))
    return api_ready(NODE_ADDRESS, API_PORT)


def api_ready(address: str, port: int) -> bool:
    """Return whether an API server says that it is ready, its bootstrap roles included."""
    # The answer decides nothing but the moment of a start, so the certificate need not be checked.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, port, timeout=_TIMEOUT_SECONDS, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_TIMEOUT_SECONDS)
        try:
            probe.connect(address)
        except OSError:
            return False
        return True
