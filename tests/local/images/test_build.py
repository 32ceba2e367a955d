"""Which images are described: those that the toolchain has the programs of, or those that are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.images.binaries import Binaries
from local.images.build import describe
from local.images.errors import ImageError
from local.images.folders import Folders
from local.toolchain import Toolchain
from local.toolchain.catalog import GO_TOOLS

_ON_DEMAND = {binary for tool in GO_TOOLS if tool.on_demand for binary in tool.binaries}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    """The cluster's programs, none of which is a real one; `pause` is there already."""
    monkeypatch.setenv("MLP_CACHE_DIR", str(tmp_path / "cache"))

    def pause(_self: Binaries) -> Path:
        return _file(tmp_path, "pause")

    monkeypatch.setattr(Binaries, "_pause", pause)
    names = {binary for tool in GO_TOOLS for binary in tool.binaries} - _ON_DEMAND
    return Toolchain({name: _file(tmp_path, name) for name in names})


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(name)
    return path


def test_an_image_is_left_out_when_its_programs_are_there_only_on_demand(tools: Toolchain) -> None:
    images = describe(tools, lambda _message: None)
    assert "keda" not in images
    assert {"coredns", "mlflow", "pause"} <= images.keys()


def test_an_image_is_described_when_its_programs_were_asked_for(tools: Toolchain, tmp_path: Path) -> None:
    more = Toolchain({**tools.binaries, **{name: _file(tmp_path, name) for name in _ON_DEMAND}})
    assert describe(more, lambda _message: None).keys() - describe(tools, lambda _message: None).keys() == {"keda"}


def test_the_error_names_the_program_when_a_named_image_lacks_it(tools: Toolchain) -> None:
    with pytest.raises(ImageError, match=r"build/bin/keda-operator: .*keda-operator.* not in this toolchain"):
        describe(tools, lambda _message: None, ["keda"])
    assert not Folders.in_cache().programs.exists()
