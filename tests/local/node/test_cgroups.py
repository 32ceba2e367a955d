from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.node import cgroups


def _version_1(folder: Path) -> Path:
    for name in ("memory", "cpuset", "unified"):
        (folder / name).mkdir()
        (folder / name / "cgroup.procs").touch()
    for name, value in (("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")):
        (folder / "cpuset" / name).write_text(value)
    (folder / "link").symlink_to(folder / "memory")
    (folder / "empty").mkdir()
    return folder


def _version_2(folder: Path) -> Path:
    (folder / "cgroup.controllers").write_text("cpuset cpu memory hugetlb pids misc\n")
    (folder / "cgroup.subtree_control").write_text("cpu\n")
    return folder


def test_each_controller_is_one_hierarchy_when_the_machine_has_version_1(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    assert not cgroups.is_version_2(top)
    assert [path.name for path in cgroups.hierarchies(top)] == ["cpuset", "memory", "unified"]


def test_there_is_one_hierarchy_when_the_machine_has_version_2(tmp_path: Path) -> None:
    top = _version_2(tmp_path)
    assert cgroups.is_version_2(top)
    assert cgroups.hierarchies(top) == [top]


def test_branch_exists_in_each_hierarchy_when_it_was_created(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    cgroups.create("/node", top)
    cgroups.create("/node", top)
    for name in ("cpuset", "memory", "unified"):
        assert (top / name / "node" / "system").is_dir()
    assert not (top / "empty" / "node").exists()


def test_controllers_in_use_are_handed_down_when_the_machine_has_version_2(tmp_path: Path) -> None:
    top = _version_2(tmp_path)
    branch = top / "node"
    branch.mkdir()
    (branch / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    (branch / "cgroup.subtree_control").write_text("")
    cgroups.create("/node", top)
    assert (top / "cgroup.subtree_control").read_text() == "+cpuset +memory +hugetlb +pids"
    assert (branch / "cgroup.subtree_control").read_text() == "+cpuset +cpu +memory +pids"


def test_nothing_remains_when_a_branch_with_children_is_removed(tmp_path: Path) -> None:
    top = tmp_path
    for name in ("memory", "pids"):
        (top / name / "node" / "kubepods" / "pod1").mkdir(parents=True)
        (top / name / "cgroup.procs").touch()
    assert len(cgroups.remaining("/node", top)) == 6
    cgroups.remove("/node", top)
    assert cgroups.remaining("/node", top) == []
    assert (top / "memory").is_dir()
    cgroups.remove("/node", top)


def test_error_is_raised_when_a_group_stays_busy(tmp_path: Path) -> None:
    (tmp_path / "memory" / "node").mkdir(parents=True)
    (tmp_path / "memory" / "cgroup.procs").touch()
    (tmp_path / "memory" / "node" / "occupied").touch()
    with pytest.raises(OSError, match="not empty"):
        cgroups.remove("/node", tmp_path, patience_seconds=0.1)


def test_command_writes_itself_into_each_hierarchy_when_it_joins_a_group(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    cgroups.create("/node", top)
    done = subprocess.run([*cgroups.join_command("/node", top), "echo", "a  b"], capture_output=True, check=True)
    assert done.stdout == b"a  b\n"
    for name in ("cpuset", "memory", "unified"):
        assert (top / name / "node" / "system" / "cgroup.procs").read_text() == "0\n"


def test_command_is_not_run_when_a_group_is_gone(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    cgroups.create("/node", top)
    (top / "memory" / "node" / "system").rmdir()
    done = subprocess.run([*cgroups.join_command("/node", top), "echo"], capture_output=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_members_are_those_of_each_hierarchy_when_the_machine_has_version_1(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    cgroups.create("/node-a-1", top)
    for name, pids in (("cpuset", "7\n8\n"), ("memory", "8\n9\n"), ("unified", "9\n8\n")):
        (top / name / "node-a-1" / "system" / "cgroup.procs").write_text(pids)
    assert cgroups.members("/node-*-1", top) == {8}
    assert cgroups.members("/node-*-2", top) == set()


def test_members_are_found_when_a_hierarchy_was_mounted_after_the_group_was_made(tmp_path: Path) -> None:
    top = _version_1(tmp_path)
    cgroups.create("/node-a-1", top)
    for name in ("cpuset", "memory", "unified"):
        (top / name / "node-a-1" / "system" / "cgroup.procs").write_text("8\n")
    (top / "net_cls").mkdir()
    (top / "net_cls" / "cgroup.procs").touch()
    assert len(cgroups.hierarchies(top)) == 4
    assert cgroups.members("/node-*-1", top) == {8}


def test_members_are_those_of_the_one_hierarchy_when_the_machine_has_version_2(tmp_path: Path) -> None:
    top = _version_2(tmp_path)
    (top / "node" / "system").mkdir(parents=True)
    (top / "node" / "system" / "cgroup.procs").write_text("8\n9\n")
    assert cgroups.members("/node", top) == {8, 9}


def test_error_is_raised_when_no_control_groups_are_mounted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no control groups are mounted"):
        cgroups.create("/node", tmp_path)


def test_nobody_is_a_member_when_there_are_no_control_groups(tmp_path: Path) -> None:
    assert cgroups.members("/node", tmp_path) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make control groups")
@pytest.mark.skipif(not cgroups.hierarchies(), reason="the machine has no control groups")
def test_real_branch_comes_and_goes() -> None:
    name = f"/mlplatform-unit-test-{os.getpid()}"
    try:
        cgroups.create(name)
        assert len(cgroups.remaining(name)) == 2 * len(cgroups.hierarchies())
    finally:
        cgroups.remove(name)
    assert cgroups.remaining(name) == []
