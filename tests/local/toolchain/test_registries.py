from __future__ import annotations

import functools
import http.server
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.toolchain import PreflightError, checks, registries
from local.toolchain.catalog import TOOLS, GoTool
from local.toolchain.installer import MODULES
from tests.support.web_server import QuietHandler, served

NOBODY = "http://127.0.0.1:1"
"""Port 1 is reserved and nobody listens on it: a connection is refused at once."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Address of a Python package index with one package."""
    folder = tmp_path / "simple" / "setuptools"
    folder.mkdir(parents=True)
    wheel = "setuptools-1.0-py3-none-any.whl"
    (folder / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{wheel}">{wheel}</a></body></html>')

    class Files(QuietHandler, http.server.SimpleHTTPRequestHandler):
        """The files below a folder."""

    with served(functools.partial(Files, directory=str(tmp_path))) as server:
        yield f"http://127.0.0.1:{server.server_port}/simple"


def _use_index(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)


def test_python_index_is_reachable_when_it_lists_a_package(monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    _use_index(monkeypatch, index)
    assert registries.unreachable(python=True) == {}


def test_python_index_is_named_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    _use_index(monkeypatch, f"{NOBODY}/simple")
    assert set(registries.unreachable(python=True)) == {registries.PYTHON_PACKAGES}


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on PATH")
def test_go_proxy_is_named_when_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOPROXY", NOBODY)
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    tool = next(tool for tool in TOOLS.values() if isinstance(tool, GoTool))
    found = registries.unreachable([tool], MODULES)
    assert set(found) == {registries.GO_MODULES}
    assert "connection refused" in registries.problem(registries.GO_MODULES, found[registries.GO_MODULES])


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on PATH")
def test_go_is_heard_when_it_cannot_even_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOMODCACHE", "relative")
    tool = next(tool for tool in TOOLS.values() if isinstance(tool, GoTool))
    said = registries.unreachable([tool], MODULES)[registries.GO_MODULES]
    assert "GOMODCACHE" in said


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt-get on PATH")
def test_debian_mirror_is_named_when_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] {NOBODY}/debian stable main\n")
    settings = tmp_path / "apt.conf"
    settings.write_text(
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n'
        'Acquire::Retries "0";\nAcquire::http::Proxy "DIRECT";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    found = registries.unreachable(debian=True)
    assert set(found) == {registries.DEBIAN_PACKAGES}
    assert found[registries.DEBIAN_PACKAGES].startswith("E: ")


def test_nobody_is_asked_when_nothing_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert registries.unreachable() == {}


def test_error_names_registry_and_remedy_when_images_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    _use_index(monkeypatch, f"{NOBODY}/simple")
    with pytest.raises(PreflightError, match=r"(?s)registry of Python packages does not answer.*remedy: .*pip config"):
        registries.require_for_images(_unreachable_without_apt)


def _unreachable_without_apt(*, debian: bool, python: bool) -> dict[str, str]:
    assert debian
    return registries.unreachable(python=python)


@pytest.mark.parametrize(
    ("images_follow", "lacking", "asked"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_python_index_is_asked_only_when_images_follow_and_a_tool_is_missing(
    monkeypatch: pytest.MonkeyPatch, images_follow: bool, lacking: bool, asked: bool
) -> None:
    questions: list[bool] = []

    def note(_tools: object, _modules: object, *, debian: bool, python: bool) -> dict[str, str]:
        questions.append(python)
        return {}

    monkeypatch.setattr(registries, "unreachable", note)
    checks.gather([TOOLS["etcd"]] if lacking else [], (), images_follow=images_follow)
    assert questions == [asked]
