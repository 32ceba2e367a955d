"""Rules that every container file and lock file of the project keeps."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from local.images.binaries import PAUSE
from local.images.catalog import programs, read_containerfiles
from local.images.containerfile import DEBIAN_REFERENCE, Containerfile
from local.images.lock import locked_packages
from local.paths import repo_root
from local.toolchain.catalog import GO_TOOLS

_ROOT = repo_root()
_FILES = {name: file for name, (_, file) in read_containerfiles(_ROOT).items()}
_RUNNABLE = [name for name, file in _FILES.items() if file.is_runnable]
_LOCKS = sorted((_ROOT / "images").glob("*/requirements.lock"))
_URL = re.compile(r"https?://")
_BUILT_HERE = re.compile(r"localhost/mlplatform/[a-z-]+:local")


def _values(file: Containerfile, keyword: str) -> list[str]:
    return [item.value for item in file.instructions if item.keyword == keyword]


@pytest.mark.parametrize("name", _RUNNABLE)
def test_containers_do_not_run_as_root_when_an_image_is_runnable(name: str) -> None:
    users = [item.value for item in _FILES[name].final_stage if item.keyword == "USER"]

    assert users, "the final stage must say USER <uid>:<gid>"
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", users[-1]), "numbers, so that Kubernetes can check runAsNonRoot"


@pytest.mark.parametrize("name", list(_FILES))
def test_every_program_is_one_that_the_toolchain_may_have_when_an_image_copies_it(name: str) -> None:
    """An image whose programs it has not is left out, so a wrong name would go unnoticed."""
    assert set(programs(_FILES[name])) <= {PAUSE, *(binary for tool in GO_TOOLS for binary in tool.binaries)}


@pytest.mark.parametrize("name", list(_FILES))
def test_bases_are_arguments_with_known_defaults_when_images_are_built(name: str) -> None:
    file = _FILES[name]
    arguments = {f"${{{argument}}}": default for argument, default in file.arguments.items()}
    for value in _values(file, "FROM"):
        base = value.split(" ")[0]
        default = arguments.get(base, base)
        assert base == "scratch" or default == DEBIAN_REFERENCE or _BUILT_HERE.fullmatch(default), default
        assert not default.endswith(":latest")


@pytest.mark.parametrize("name", list(_FILES))
def test_nothing_is_fetched_but_debian_and_locked_packages_when_images_are_built(name: str) -> None:
    file = _FILES[name]
    runs = " ".join(_values(file, "RUN"))

    assert not _values(file, "ADD")
    assert not re.search(r"\b(curl|wget|git|go)\b", runs)
    assert not _URL.search(runs)
    if "pip install" in runs or "uv pip" in runs:
        assert "--require-hashes" in runs
    for installation in re.findall(r"apt-get install [^&]*", runs):
        assert "--no-install-recommends" in installation


@pytest.mark.parametrize("name", list(_FILES))
def test_what_the_machine_lends_leaves_no_trace_when_packages_are_installed(name: str) -> None:
    """Mount points for package settings stay in the stage that runs with them: it must not be the final one."""
    file = _FILES[name]
    if "builder" in file.parents.values():
        assert not [item for item in file.final_stage if item.keyword == "RUN"]


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.parent.name)
def test_every_package_has_hashes_and_no_address_when_locked(path: Path) -> None:
    text = path.read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if entry]

    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+ \\\n", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry
    assert not _URL.search(text)
    assert "index-url" not in text


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.parent.name)
def test_the_lock_holds_what_the_image_asks_for_when_requirements_change(path: Path) -> None:
    wanted = re.findall(r"^([A-Za-z0-9._-]+)", path.with_suffix(".in").read_text(), re.MULTILINE)

    assert set(wanted) <= set(locked_packages(path.read_text()))


@pytest.mark.parametrize("path", _LOCKS, ids=lambda path: path.parent.name)
def test_images_run_the_versions_that_the_tests_run_when_both_have_a_package(path: Path) -> None:
    pinned = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
    tested = dict(pinned.findall((_ROOT / "requirements" / "dev.lock").read_text()))

    differing = {
        name: version for name, version in pinned.findall(path.read_text()) if tested.get(name, version) != version
    }

    assert not differing, "python -m local.images lock"


def test_an_image_does_not_lock_again_what_its_base_has_when_it_builds_on_one() -> None:
    for path in _LOCKS:
        own = set(locked_packages(path.read_text()))
        for parent in _FILES[path.parent.name].parents.values():
            base = _ROOT / "images" / parent / "requirements.lock"
            if base.exists() and parent != "builder":
                assert not own & set(locked_packages(base.read_text()))


def test_the_ml_image_has_the_packages_of_the_service_extra_when_it_is_locked() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[=<>\[]", requirement)[0] for requirement in project["optional-dependencies"]["service"]}

    assert names <= set(locked_packages((_ROOT / "images/ml-packages/requirements.lock").read_text()))
