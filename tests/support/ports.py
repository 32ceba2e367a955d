"""Ports and addresses for servers that tests start."""

from __future__ import annotations

import os
import socket


def free_port() -> int:
    """Return a TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_address(number: int) -> str:
    """Return one of 254 loopback addresses that only this process uses: whoever needs a certain port is alone there."""
    # 127.0 is left to everybody else; two processes differ by 65024 in their ids before they share a network.
    return f"127.{1 + os.getpid() // 256 % 254}.{os.getpid() % 256}.{number}"
