"""Taking it away: destroy leaves the cluster as it was, down leaves the machine as it was. Runs last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from components._labels import PART_OF
from local import paths
from tests.e2e import host
from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e


def test_namespace_is_gone_when_the_stack_is_destroyed(cluster: Cluster) -> None:
    cluster.platform.stack.destroy()
    assert cluster.namespace not in cluster.kubectl("get", "namespaces", "-o", "name")
    kinds = cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    own = f"app.kubernetes.io/part-of={PART_OF}"
    left = cluster.kubectl("get", ",".join(kinds), "--all-namespaces", "--selector", own, "-o", "name")
    assert left == "", "whatever the stack makes, in the whole cluster too, bears this label"
    mesh = cluster.kubectl(
        "get", "envoyfilters,virtualservices,gateways,destinationrules", "--all-namespaces", "-o", "name"
    )
    assert mesh == "", "the controller's splits too"
    volumes = cluster.kubectl("get", "persistentvolumes", "-o", "jsonpath={.items[*].status.phase}")
    assert "Bound" not in volumes.split()


@pytest.mark.usefixtures("cluster")
def test_machine_is_as_before_when_the_platform_is_down(state_base: Path, machine_before: dict[str, set[str]]) -> None:
    subprocess.run([sys.executable, "-m", "local", "down"], cwd=paths.repo_root(), check=True)
    assert host.inventory(state_base) == machine_before
