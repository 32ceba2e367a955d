from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.node import isolation
from local.node.config import NodeConfig
from local.node.errors import NodeError
from local.node.handle import NodeHandle


def test_mounts_of_the_host_are_safe_when_called_outside_a_namespace(tmp_path: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    with pytest.raises(RuntimeError, match="refused"):
        isolation.prepare(tmp_path)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_everything_dies_with_the_first_process_when_namespaces_are_made() -> None:
    command = isolation.unshare_command()
    assert {"--net", "--mount", "--pid", "--kill-child"} <= set(command)
    assert command[command.index("--propagation") + 1] == "private"


def test_command_enters_network_mounts_and_processes_of_a_process() -> None:
    assert isolation.enter_command(4711) == ("nsenter", "--target", "4711", "--net", "--mount", "--pid", "--")


def test_no_process_is_entered_when_the_node_has_ended() -> None:
    """Its number may be another's by now, here our own."""
    config = NodeConfig(name="local", state_dir=Path("/srv/node"), pause_image="p:1", binaries={"ctr": "/usr/bin/ctr"})
    handle = NodeHandle(config, os.getpid())
    assert handle.kubeconfig == Path("/srv/node/kubeconfig")
    with pytest.raises(NodeError, match="the node of `local` has ended"):
        handle.run(["true"])
