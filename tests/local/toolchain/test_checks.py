from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from local.toolchain import PreflightError, checks, facts, preflight, registries
from local.toolchain.cache import Cache
from local.toolchain.catalog import CLUSTER_TOOLS, TOOLS, GoTool, Tool
from local.toolchain.checks import Needs, find_problems, needs_of
from local.toolchain.facts import Facts, Folder
from local.toolchain.installer import MODULES

GIB = 1024**3
GO_NEEDS = "/GOCACHE needs 8 GiB, /GOMODCACHE needs 6 GiB"
GOOD = Facts(
    is_root=True,
    has_apt=True,
    go_version="1.26.8",
    go_may_download_itself=False,
    memory_bytes=8 * GIB,
    folders={
        "MLP_CACHE_DIR": Folder(Path("/cache"), 1, 40 * GIB),
        "MLP_STATE_DIR": Folder(Path("/state"), 1, 40 * GIB),
        "GOCACHE": Folder(Path("/go/build"), 1, 40 * GIB),
        "GOMODCACHE": Folder(Path("/go/mod"), 1, 40 * GIB),
    },
    taken_ports=(),
    missing_kernel_features=(),
    unreachable_registries={},
)
COLD = Needs(must_install=True, debian=True, go_version="1.26.4", go_share=1.0)

WARM = Needs(must_install=False, debian=False, go_version=None, go_share=0.0)


def _folders(**sizes: tuple[int, int]) -> dict[str, Folder]:
    """Return folders that are named after their variables, each on a disk of its own with some GiB free."""
    return {name: Folder(Path("/", name), device, size * GIB) for name, (device, size) in sizes.items()}


def _problems(needs: Needs, **changes: Any) -> list[str]:
    found = find_problems(dataclasses.replace(GOOD, **changes), needs, {"GATEWAY": 8080, "API": 16443})
    assert all(problem.remedy for problem in found)
    return [problem.what for problem in found]


@pytest.mark.parametrize("needs", [COLD, WARM])
def test_nothing_is_in_the_way_when_the_machine_is_good(needs: Needs) -> None:
    assert _problems(needs) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"is_root": False}, "not running as root"),
        ({"has_apt": False}, "there is no apt-get"),
        ({"go_version": None}, "there is no Go on PATH"),
        ({"go_version": "1.26.3"}, "Go 1.26.3 is too old"),
        ({"go_version": "1.9"}, "Go 1.9 is too old"),
        ({"go_version": "1.20", "go_may_download_itself": True}, "Go 1.20 is too old"),
        ({"memory_bytes": 4 * GIB}, "4.0 GiB of memory are too little"),
        (
            {"folders": _folders(MLP_CACHE_DIR=(1, 27), MLP_STATE_DIR=(1, 27), GOCACHE=(1, 27), GOMODCACHE=(1, 27))},
            f"27.0 GiB free are too little where /MLP_CACHE_DIR needs 7 GiB, /MLP_STATE_DIR needs 7 GiB, {GO_NEEDS}",
        ),
        (
            {"folders": _folders(MLP_CACHE_DIR=(1, 7), MLP_STATE_DIR=(2, 7), GOCACHE=(3, 13), GOMODCACHE=(3, 13))},
            f"13.0 GiB free are too little where {GO_NEEDS}",
        ),
        ({"taken_ports": (8080,)}, "port 8080 of 127.0.0.1 is taken"),
        ({"missing_kernel_features": ("overlay",)}, "the kernel feature `overlay` is missing"),
        ({"unreachable_registries": {"Go modules": ""}}, "the registry of Go modules does not answer"),
        (
            {"unreachable_registries": {"Go modules": "GOPATH is not set"}},
            "the registry of Go modules does not answer: GOPATH is not set",
        ),
    ],
)
def test_problem_is_named_when_one_thing_is_missing(changes: dict[str, Any], problem: str) -> None:
    assert _problems(COLD, **changes) == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        {"has_apt": False},
        {"go_version": None},
        {"folders": _folders(MLP_CACHE_DIR=(1, 4), MLP_STATE_DIR=(1, 4))},
        {"folders": _folders(MLP_CACHE_DIR=(1, 4), MLP_STATE_DIR=(1, 4), GOCACHE=(2, 0), GOMODCACHE=(2, 0))},
    ],
)
def test_nothing_is_in_the_way_when_what_is_missing_is_not_needed(changes: dict[str, Any]) -> None:
    assert _problems(WARM, **changes) == []


def test_nothing_is_in_the_way_when_each_disk_has_room_for_what_lies_on_it() -> None:
    """And not for all of it."""
    assert _problems(COLD, folders=_folders(MLP_CACHE_DIR=(1, 7), MLP_STATE_DIR=(2, 7), GOCACHE=(3, 8))) == []


def test_remedy_names_need_and_variables_when_a_disk_is_too_small() -> None:
    folders = _folders(MLP_CACHE_DIR=(1, 20), MLP_STATE_DIR=(1, 20), GOCACHE=(2, 3), GOMODCACHE=(2, 3))
    (problem,) = find_problems(dataclasses.replace(GOOD, folders=folders), COLD)
    assert problem.remedy == "make 14 GiB free there, or point GOCACHE or GOMODCACHE to another disk"


def test_folders_of_go_are_looked_at_when_a_tool_has_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_silent(*_arguments: object, **_options: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(registries, "unreachable", nothing_silent)
    assert set(checks.gather([], ()).folders) == {"MLP_CACHE_DIR", "MLP_STATE_DIR"}
    built = checks.gather([TOOLS["etcd"]], ()).folders
    assert set(built) == {"MLP_CACHE_DIR", "MLP_STATE_DIR"} | set(facts.go_folders())


def test_go_may_be_older_when_it_fetches_the_wanted_version_itself() -> None:
    assert _problems(COLD, go_version="1.22", go_may_download_itself=True) == []


def test_all_problems_are_named_at_once() -> None:
    found = _problems(
        COLD,
        is_root=False,
        go_version=None,
        memory_bytes=0,
        folders=_folders(MLP_CACHE_DIR=(1, 0), MLP_STATE_DIR=(2, 0)),
        taken_ports=(8080, 16443),
    )
    assert len(found) == 7


def test_every_feature_and_registry_has_a_remedy() -> None:
    features = ("namespaces", "overlay", "network", "cgroups", "nftables")
    silent = dict.fromkeys(("Go modules", "Debian packages", "Python packages"), "")
    found = _problems(COLD, missing_kernel_features=features, unreachable_registries=silent)
    assert len(found) == len(features) + len(silent)


def test_needs_follow_from_what_is_missing() -> None:
    assert needs_of([], MODULES) == WARM
    needs = needs_of([TOOLS["etcd"], TOOLS["metrics-server"], TOOLS["runc"]], MODULES)
    assert (needs.must_install, needs.debian, needs.go_version) == (True, True, "1.26.4")
    go_tools = [tool for tool in (TOOLS[name] for name in CLUSTER_TOOLS) if isinstance(tool, GoTool)]
    assert needs.go_share == 2 / len(go_tools)
    assert needs_of(go_tools, MODULES).go_share == 1.0


def test_start_that_was_cut_off_goes_on_when_the_disk_holds_what_it_had_built() -> None:
    """What Go has left on a disk of 30 GiB leaves 16 free: the last tool needs little more."""
    last = needs_of([TOOLS["metrics-server"]], MODULES)
    assert (
        _problems(
            last, folders=_folders(MLP_CACHE_DIR=(1, 16), MLP_STATE_DIR=(1, 16), GOCACHE=(1, 16), GOMODCACHE=(1, 16))
        )
        == []
    )
    assert _problems(COLD, folders=_folders(MLP_CACHE_DIR=(1, 16), MLP_STATE_DIR=(1, 16), GOCACHE=(1, 16))) != []


def test_error_names_port_and_remedy_when_a_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_missing(_tools: Iterable[Tool], _cache: Cache) -> list[Tool]:
        return []

    monkeypatch.setattr(checks, "missing", nothing_missing)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(
            PreflightError, match=rf"(?s)nothing has been changed.*port {port} .*remedy: .*ss -ltnp.*in MLP_X"
        ):
            preflight(ports={"MLP_X": port})
