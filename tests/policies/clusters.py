"""Reads a cluster as `mlp policy audit` does."""

from __future__ import annotations

import asyncio
import os

from ml.cli.connection import Connection
from ml.cli.kubectl import Kubectl
from ml.cli.policy import live
from policies._model import Resource
from tests.local.provider.control_plane import ControlPlane


def read(server: ControlPlane, namespace: str) -> list[Resource]:
    """Return what the command would judge in a namespace."""
    folder = server.tools
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "PATH": f"{folder}:{os.environ['PATH']}"}
    connection = Connection(stack="local", project_dir=folder, environment=environment, context=None)
    return asyncio.run(live.read(Kubectl(connection), namespace))
