"""An instance's stack in the real engine, with a small program in the place of the platform's."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.lifecycle.instance import Instance
from local.lifecycle.stack import Stack
from local.progress import ConsoleProgress
from local.toolchain import Toolchain, ensure

_PROGRAM = "import pulumi\n\npulumi.export('length', len(pulumi.Config('mlplatform').require('masterSecret')))\n"


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The engine and its language host."""
    return ensure(["pulumi", "pulumi-language-python"], ConsoleProgress())


@pytest.fixture
def stack(toolchain: Toolchain, tmp_path: Path) -> Stack:
    """The stack of an instance that is about to come up for the first time."""
    folder = tmp_path / "state of a person" / "local"
    instance = Instance(name="local", state_dir=folder, api_port=16443, gateway_port=8080)
    instance.create_files()
    return Stack(instance=instance, tools=toolchain, kubeconfig=folder / "kubeconfig")


@pytest.fixture
def deployed(stack: Stack) -> Stack:
    """The stack after an update."""
    stack.prepare({})
    folder = stack.instance.state_dir / "small-program"
    folder.mkdir()
    (folder / "__main__.py").write_text(_PROGRAM)
    link = stack.instance.project_dir / "program"
    link.unlink()
    link.symlink_to(folder)
    stack.up()
    return stack
