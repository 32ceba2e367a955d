"""What a pod's object says about reaching it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.controller.documents import mapping, objects


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod gets connections: ready, with an address, and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    status = mapping(pod.get("status"))
    conditions = {entry.get("type"): entry.get("status") for entry in objects(status.get("conditions"))}
    return bool(status.get("podIP")) and conditions.get("Ready") == "True"


def address(pod: Mapping[str, Any]) -> str:
    """Return a pod's IP address as an URL writes it."""
    ip = str(pod["status"]["podIP"])
    return f"[{ip}]" if ":" in ip else ip
