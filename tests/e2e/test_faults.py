"""Faults of the machine and of stored data: `make up` says what is wrong, and continues once it is repaired."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from local import __main__ as local_commands
from local import node
from local.lifecycle import platform
from local.lifecycle.stack import StackError
from local.progress import ConsoleProgress
from ml import contracts
from tests.e2e import commands
from tests.e2e.cluster import Cluster, eventually

pytestmark = pytest.mark.e2e

MODEL = contracts.RESEARCH_PATTERN_PREDICTOR
DATABASE = contracts.METADATA_DB_SERVICE
_SPARE_KIB = 256
"""Free space on the small disk beyond the data that are on it; taken away to fill it."""


# A full disk ----------------------------------------------------------------------------------------------------------


def test_up_names_the_database_and_continues_when_its_disk_is_full(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    version = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    monkeypatch.setattr(platform, "SERVICES_READY_SECONDS", 45)
    with _small_disk(cluster) as disk:
        ballast = disk / "ballast"
        _in_node(cluster, f"dd if=/dev/zero of={ballast} bs=64k 2>/dev/null || test -s {ballast}")
        _start_database(cluster)

        capfd.readouterr()
        with pytest.raises(typer.Exit) as ended:
            local_commands.up()
        said = "".join(capfd.readouterr())
        assert ended.value.exit_code == 1
        assert f"statefulset/{DATABASE}" in said, said
        assert f"{DATABASE} (pod {cluster.namespace}/{DATABASE}-0)" in said, said
        assert "No space left on device" in said, said
        assert cluster.predict(MODEL)[0] == 200

        _in_node(cluster, f"rm {ballast}")
        local_commands.up()
        assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == version
    cluster.verifies(within_seconds=120, what="the database is back")


@contextmanager
def _small_disk(cluster: Cluster) -> Generator[Path]:
    """Move the database's files to a disk with hardly any room left while the body runs; the database is stopped."""
    claim = cluster.get("persistentvolumeclaim", f"data-{DATABASE}-0")
    source = cluster.get("persistentvolume", claim["spec"]["volumeName"])["spec"]
    folder = Path(source["local"]["path"])  # as the node sees it
    spare = f"{folder}.small"
    _stop_database(cluster)
    used_kib = int(_in_node(cluster, f"du -sk {folder}").split()[0])
    _in_node(
        cluster,
        f"mkdir {spare} && mount -t tmpfs -o size={used_kib + used_kib // 20 + _SPARE_KIB}k,mode=755 tmpfs {spare}"
        f" && cp -a {folder}/. {spare}/ && mount --bind {spare} {folder}",
    )
    try:
        yield folder
    finally:
        _stop_database(cluster)
        _in_node(
            cluster,
            f"umount {folder} && find {folder} -mindepth 1 -delete && cp -a {spare}/. {folder}/"
            f" && rm -f {folder}/ballast && umount {spare} && rmdir {spare}",
        )
        _start_database(cluster)
        cluster.kubectl("rollout", "status", f"statefulset/{DATABASE}", "--timeout=120s")


def _stop_database(cluster: Cluster) -> None:
    cluster.kubectl("scale", f"statefulset/{DATABASE}", "--replicas=0")
    cluster.kubectl("wait", "--for=delete", f"pod/{DATABASE}-0", "--timeout=90s")


def _start_database(cluster: Cluster) -> None:
    cluster.kubectl("scale", f"statefulset/{DATABASE}", "--replicas=1")


def _in_node(cluster: Cluster, script: str) -> str:
    return node.attach(cluster.instance.node_dir).run(["sh", "-c", script]).stdout


# A failing migration --------------------------------------------------------------------------------------------------


def test_up_names_the_migration_and_continues_when_the_schema_is_unknown(cluster: Cluster) -> None:
    stack = cluster.platform.stack
    good = stack.outputs()["images"]["mlflow"]
    other = f"{good.rpartition(':')[0]}:another"  # the same image under another name, so that the migration runs again
    node.attach(cluster.instance.node_dir).ctr(["images", "tag", "--force", good, other])
    _sql(cluster, "UPDATE alembic_version SET version_num = 'unknown-' || version_num")
    stack.set_config("images.mlflow", other)
    stack.set_config("readyTimeoutSeconds", "60")
    try:
        with pytest.raises(StackError):
            stack.up()
        report = "\n".join(platform.diagnose(cluster.instance))
        assert f"{contracts.TRACKING_SERVER_SERVICE}-migration" in report, report
        assert "unknown-" in report, report
        # The server of before goes on: the migration stands before the start of the new one.
        assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)

        _sql(cluster, "UPDATE alembic_version SET version_num = replace(version_num, 'unknown-', '')")
        platform.restart_stuck(cluster.platform, ConsoleProgress())
        stack.set_config("readyTimeoutSeconds", "300")
        stack.up()
        server = cluster.get("deployment", contracts.TRACKING_SERVER_SERVICE)
        assert server["spec"]["template"]["spec"]["containers"][0]["image"] == other
    finally:
        _sql(cluster, "UPDATE alembic_version SET version_num = replace(version_num, 'unknown-', '')")
        stack.set_config("images.mlflow", good)
        stack.set_config("readyTimeoutSeconds", "300")
        platform.restart_stuck(cluster.platform, ConsoleProgress())
        stack.up()
    cluster.verifies(within_seconds=120)


def _sql(cluster: Cluster, statement: str) -> None:
    script = (
        'PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") psql --quiet --no-align --tuples-only --host 127.0.0.1 '
        f'--username "$POSTGRES_USER" --dbname mlflow --command "{statement}"'
    )
    cluster.kubectl("exec", f"{DATABASE}-0", "-c", "server", "--", "sh", "-c", script)


# Killed processes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["pilot-discovery", "containerd", "kubelet", "etcd"])
def test_platform_goes_on_when_one_process_is_killed(cluster: Cluster, program: str) -> None:
    version = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    (before,) = _processes(cluster, program)
    _in_node(cluster, f"kill -KILL {before}")
    eventually(
        lambda: [pid for pid in _processes(cluster, program) if pid != before],
        within_seconds=90,
        what=f"{program} runs again",
    )
    cluster.verifies(within_seconds=120)
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == version


def test_up_continues_with_the_data_when_the_whole_node_is_killed(cluster: Cluster) -> None:
    version = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    os.kill(node.attach(cluster.instance.node_dir).pid, signal.SIGKILL)
    code, output = commands.up()
    assert code == 0, output
    assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == version
    cluster.verifies(within_seconds=120)


def _processes(cluster: Cluster, program: str) -> list[int]:
    """Return the processes of the node and its containers that run a program, by their numbers in the node."""
    files = _in_node(cluster, f"grep --files-with-matches --no-messages --line-regexp {program} /proc/[0-9]*/comm || :")
    return [int(Path(file).parent.name) for file in files.split()]
