"""The documented restore of a database that CloudNativePG runs, held against the stack that it is for."""

from __future__ import annotations

import re
import shlex

import yaml

from tests.support import pods
from tests.support.recording_monitor import Graph
from tests.support.stacks import DATABASE_CLUSTER, ROOT, StackUnderTest

NAMESPACE = "free-deep-research"


def restoring() -> list[str]:
    """Return the shell commands of the steps."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Restore a database of CloudNativePG")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", "".join(blocks)).splitlines() if line.strip()]


def test_restore_stops_everybody_who_writes_and_names_what_there_is(database_cluster: Graph) -> None:
    commands = restoring()
    (stop,) = [line for line in commands if "scale deployment --replicas=0" in line]
    writers = {
        item.object_name
        for item in database_cluster.of_kind("Deployment")
        if "mlplatform.dev/access-metadata-db" in pods.template_of(item)["metadata"]["labels"]
    }
    assert set(shlex.split(stop.partition("--replicas=0")[2])) == writers - {"database-exporter"}
    (delete,) = [line for line in commands if "delete cluster" in line]
    assert database_cluster.object("Cluster", "metadata-db").object_name in shlex.split(delete)
    assert all(f"--namespace {NAMESPACE}" in line for line in commands if line.startswith("kubectl "))


def test_settings_of_the_restore_make_the_cluster_from_the_past_when_set() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Restore a database of CloudNativePG")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    settings = yaml.safe_load(block)["mlplatform:metadataDb"]
    stack = StackUnderTest(name="dev", added={**DATABASE_CLUSTER.added, "metadataDb": settings})
    cluster = stack.run().object("Cluster", "metadata-db").manifest["spec"]
    assert cluster["bootstrap"]["recovery"]["source"] == "metadata-db-1"
    assert cluster["bootstrap"]["recovery"]["recoveryTarget"] == {"targetTime": settings["cluster"]["restoreTo"]}
    assert cluster["plugins"][0]["parameters"]["serverName"] == "metadata-db-2"
