from __future__ import annotations

import os
from pathlib import Path

import pytest

from local import node
from local.node import NodeConfig, NodeError, cgroups, readiness
from local.node.config import cgroup_of
from local.node.layout import Layout

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make control groups")


def test_nothing_is_said_to_run_when_there_is_no_node(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    assert not node.is_running(folder)
    found = node.status("local", folder)
    assert (found.running, found.ready, found.pid, found.leftovers) == (False, False, None, ())
    with pytest.raises(NodeError, match="no node runs with the state folder"):
        node.attach(folder)


def test_stopping_and_destroying_are_no_error_when_there_is_no_node(tmp_path: Path) -> None:
    told: list[str] = []
    node.stop("local", tmp_path / "node", told.append)
    node.destroy("local", tmp_path / "node", told.append)
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_all_files_are_gone_when_a_half_made_node_is_destroyed(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    (folder / "pki").mkdir(parents=True)
    (folder / "node.json").write_text("half")
    node.destroy("local", folder)
    assert list(tmp_path.iterdir()) == []


@needs_root
@pytest.mark.skipif(not cgroups.hierarchies(), reason="the machine has no control groups")
def test_leftovers_are_named_and_removed_when_a_node_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    cgroups.create(cgroup_of("local", folder))
    left = node.status("local", folder).leftovers
    assert len(left) == 2 * len(cgroups.hierarchies())
    node.stop("local", folder)
    assert node.status("local", folder).leftovers == ()


def test_message_shows_the_guilty_process_when_the_node_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    (layout.logs / "supervisor.log").write_text(
        "t started etcd (process 9)\nt etcd ended with 1 (end 1); again in 0.5 s\n"
    )
    (layout.logs / "etcd.log").write_text("old line\nno space left on device\n")
    (layout.logs / "kubelet.log").write_text("all is well\n")
    monkeypatch.setattr(readiness, "_APPEARANCE_SECONDS", 0.0)
    config = NodeConfig(name="local", state_dir=tmp_path, pause_image="p:1")
    with pytest.raises(NodeError) as caught:
        readiness.wait_until_ready(config)
    message = str(caught.value)
    assert "the node's first process ended" in message
    assert "--- etcd\nold line\nno space left on device" in message
    assert "all is well" not in message
