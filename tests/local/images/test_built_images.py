"""Images as they come out: user, contents, size, the way into containerd. Builds what the cache lacks; needs root."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from local import toolchain
from local.images import ensure, plant
from local.images.binaries import Tools
from local.images.build import describe
from local.images.folders import Folders
from local.images.load import CtrCommand, import_missing, present
from local.images.seed import private_containerd
from local.images.store import Store
from local.paths import repo_root
from local.progress import ConsoleProgress

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

_FORBIDDEN = re.compile(
    r"^(usr/(local/)?s?bin/(gcc|cc|ld|make|curl|wget|sudo|pip3?|uv)"
    r"|opt/venv/bin/(pip3?|uv)|opt/uv/.*|.*/site-packages/pip/.*"
    r"|root/(?!\.bashrc$|\.profile$).+|home/.+|tmp/.+|mnt/.+|var/cache/apt/.*\.(bin|deb)|var/lib/apt/lists/.+_.*"
    r"|etc/pip\.conf|etc/uv/.*|.*/certificates\.crt)$"
)
_BUDGET = re.compile(r"^\| `([a-z-]+)` \| *([0-9]+) *\| *([0-9]+) *\|", re.MULTILINE)
_BYTES_PER_MB = 1_000_000


@pytest.fixture(scope="module")
def tools() -> Tools:
    """Those of the cluster, and what images are made of on demand."""
    return toolchain.ensure([*toolchain.CLUSTER_TOOLS, "keda"], ConsoleProgress())


@pytest.fixture(scope="module")
def references(tools: Tools) -> dict[str, str]:
    return ensure(tools, ConsoleProgress())


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(Folders.in_cache().store)


def _config(store: Store, reference: str) -> dict[str, Any]:
    return json.loads(store.blob_path(store.manifest(reference)["config"]["digest"]).read_text())


def _files(store: Store, reference: str) -> dict[str, tarfile.TarInfo]:
    """Return what containers see: path -> entry, without what upper layers have removed."""
    files: dict[str, tarfile.TarInfo] = {}
    for layer in store.manifest(reference)["layers"]:
        with tarfile.open(store.blob_path(layer["digest"])) as archive:
            for member in archive:
                path = member.name.removeprefix("./").rstrip("/")
                folder, _, name = path.rpartition("/")
                if name.startswith(".wh."):
                    files.pop(f"{folder}/{name.removeprefix('.wh.')}", None)
                else:
                    files[path] = member
    return files


def test_every_container_file_gives_an_image_when_built(tools: Tools, references: dict[str, str]) -> None:
    images = describe(tools, ConsoleProgress())

    assert references == {name: image.reference for name, image in images.items() if image.is_runnable}


def test_nothing_is_built_when_nothing_changed(tools: Tools, references: dict[str, str]) -> None:
    said: list[str] = []

    assert ensure(tools, said.append) == references
    assert said == []


def test_containers_run_as_a_numbered_user_when_started(store: Store, references: dict[str, str]) -> None:
    users = {name: _config(store, reference)["config"]["User"] for name, reference in references.items()}

    assert [name for name, user in users.items() if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)] == []


def test_no_tool_cache_or_trace_of_the_builder_is_in_an_image_when_built(
    store: Store, references: dict[str, str]
) -> None:
    found = {
        name: sorted(path for path in _files(store, reference) if _FORBIDDEN.match(path))[:5]
        for name, reference in references.items()
    }

    assert {name: paths for name, paths in found.items() if paths} == {}


def test_no_program_gives_more_rights_when_run_in_our_own_layers(store: Store, references: dict[str, str]) -> None:
    """Debian's own set-uid programs are in the base and without effect: pods run with no-new-privileges."""
    base = _files(store, references["postgres"])
    for reference in references.values():
        privileged = {
            path for path, entry in _files(store, reference).items() if entry.isfile() and entry.mode & 0o6000
        }
        assert privileged <= {path for path, entry in base.items() if entry.mode & 0o6000}


def test_layers_carry_one_fixed_date_when_built(store: Store, references: dict[str, str]) -> None:
    for reference in references.values():
        assert {entry.mtime for entry in _files(store, reference).values()} == {0}
        assert _config(store, reference)["created"] == "1970-01-01T00:00:00Z"


def test_python_finds_its_byte_code_when_layers_carry_one_date(store: Store, references: dict[str, str]) -> None:
    """A read-only container could never write it: each start would compile everything again."""
    for name in ("mlflow", "ml", "training", "model-server"):
        files = _files(store, references[name])
        sources = [path for path in files if path.startswith("opt/venv/lib/") and path.endswith(".py")]
        compiled = {path for path in files if path.endswith(".pyc")}
        lacking = [path for path in sources if _byte_code(path) not in compiled]
        assert len(lacking) < 10, lacking  # templates that are no valid Python


def _byte_code(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"


def test_large_layers_are_shared_when_images_have_them_in_common(store: Store, references: dict[str, str]) -> None:
    layers = {name: [layer["digest"] for layer in store.manifest(ref)["layers"]] for name, ref in references.items()}

    assert len({layers[name][0] for name in ("postgres", "minio", "minio-client", "envoy", "mlflow", "ml")}) == 1
    assert layers["mlflow"][1] == layers["ml"][1]
    assert layers["training"][:3] == layers["model-server"][:3]


def test_images_stay_within_their_budget_when_built(store: Store, references: dict[str, str]) -> None:
    table = (repo_root() / "images" / "README.md").read_text()
    budgets_mb = {name: int(budget) for name, _, budget in _BUDGET.findall(table)}
    sizes_mb = {name: store.size_bytes([ref]) / _BYTES_PER_MB for name, ref in references.items()}
    sizes_mb["together"] = store.size_bytes(references.values()) / _BYTES_PER_MB

    assert budgets_mb.keys() == sizes_mb.keys()
    assert {name: size for name, size in sizes_mb.items() if size > budgets_mb[name]} == {}


def _incomplete(ctr: CtrCommand) -> list[str]:
    """Return what containerd says about images that lack content or are not unpacked."""
    lines = subprocess.run(ctr(["images", "check"]), check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines[1:] if " complete (" not in line or not line.rstrip().endswith("true")]


@pytest.fixture
def state(tools: Tools) -> Generator[Path]:
    """A folder on the cache's file system, as a node's state usually is."""
    folder = Folders.in_cache().root / "test-state"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder)


def test_a_new_node_has_every_image_when_planted(tools: Tools, references: dict[str, str], state: Path) -> None:
    assert plant(state, references, tools, ConsoleProgress())
    with private_containerd(state, tools) as ctr:
        have = present(ctr)
        incomplete = _incomplete(ctr)

    assert have == set(references.values())
    assert incomplete == []


def test_a_used_root_is_left_alone_when_planting(tools: Tools, references: dict[str, str], state: Path) -> None:
    few = {name: references[name] for name in ("pause", "coredns")}
    with private_containerd(state, tools):
        pass

    assert not plant(state, few, tools, ConsoleProgress())


def test_only_what_is_missing_is_loaded_when_some_images_are_there(
    tools: Tools, references: dict[str, str], store: Store, state: Path
) -> None:
    """The two share their base: the second comes without it and is complete all the same."""
    first = [references["minio"]]
    both = [references["minio"], references["minio-client"]]
    with private_containerd(state, tools) as ctr:
        assert import_missing(ctr, first, store, ConsoleProgress()) == first
        assert import_missing(ctr, both, store, ConsoleProgress()) == [references["minio-client"]]
        assert import_missing(ctr, both, store, ConsoleProgress()) == []
        assert _incomplete(ctr) == []
        assert present(ctr) == set(both)
