from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from local.toolchain import PreflightError, checks, preflight
from local.toolchain.cache import Cache
from local.toolchain.catalog import TOOLS, Tool
from local.toolchain.checks import Needs, find_problems, needs_of
from local.toolchain.facts import Facts
from local.toolchain.installer import MODULES

GIB = 1024**3
GOOD = Facts(
    is_root=True,
    has_apt=True,
    go_version="1.26.8",
    go_may_download_itself=False,
    memory_bytes=8 * GIB,
    free_bytes=((Path("/cache"), 40 * GIB),),
    taken_ports=(),
    missing_kernel_features=(),
    unreachable_registries=(),
)
COLD = Needs(must_install=True, debian=True, go_version="1.26.4")
WARM = Needs(must_install=False, debian=False, go_version=None)


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
        ({"free_bytes": ((Path("/cache"), 27 * GIB),)}, "27.0 GiB free for /cache are too little"),
        ({"taken_ports": (8080,)}, "port 8080 of 127.0.0.1 is taken"),
        ({"missing_kernel_features": ("overlay",)}, "the kernel feature `overlay` is missing"),
        ({"unreachable_registries": ("Go modules",)}, "the registry of Go modules does not answer"),
    ],
)
def test_problem_is_named_when_one_thing_is_missing(changes: dict[str, Any], problem: str) -> None:
    assert _problems(COLD, **changes) == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        {"has_apt": False},
        {"go_version": None},
        {"free_bytes": ((Path("/cache"), 14 * GIB),)},
    ],
)
def test_nothing_is_in_the_way_when_what_is_missing_is_not_needed(changes: dict[str, Any]) -> None:
    assert _problems(WARM, **changes) == []


def test_go_may_be_older_when_it_fetches_the_wanted_version_itself() -> None:
    assert _problems(COLD, go_version="1.22", go_may_download_itself=True) == []


def test_all_problems_are_named_at_once() -> None:
    found = _problems(
        COLD,
        is_root=False,
        go_version=None,
        memory_bytes=0,
        free_bytes=((Path("/a"), 0), (Path("/b"), 0)),
        taken_ports=(8080, 16443),
    )
    assert len(found) == 7


def test_every_feature_and_registry_has_a_remedy() -> None:
    features = ("namespaces", "overlay", "network", "cgroups", "nftables")
    registries = ("Go modules", "Debian packages", "Python packages")
    found = _problems(COLD, missing_kernel_features=features, unreachable_registries=registries)
    assert len(found) == len(features) + len(registries)


def test_needs_follow_from_what_is_missing() -> None:
    assert needs_of([], MODULES) == WARM
    needs = needs_of([TOOLS["etcd"], TOOLS["metrics-server"], TOOLS["runc"]], MODULES)
    assert needs == Needs(must_install=True, debian=True, go_version="1.26.4")


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
