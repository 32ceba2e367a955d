"""One server with one model for all tests that only ask."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.local.modelserver.saved_models import write_text_model
from tests.local.modelserver.server_process import ServerProcess


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model's folder with version 3."""
    base_path = tmp_path_factory.mktemp("models") / "text_model"
    write_text_model(base_path, 3)
    return base_path


@pytest.fixture(scope="session")
def server(text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """Return a running server with that model."""
    with ServerProcess(tmp_path_factory.mktemp("server"), "text_model", text_model) as process:
        process.wait_until_open()
        yield process
