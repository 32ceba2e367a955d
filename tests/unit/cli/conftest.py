from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.platform import FakePlatform, serve


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlatform]:
    for variable in ("MLP_INSTANCE", "MLP_STACK", "MLP_CONTEXT", "MLP_PROJECT_DIR", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MLP_STATE_DIR", str(tmp_path / "state"))
    with serve() as web:
        yield FakePlatform(tmp_path, web)
