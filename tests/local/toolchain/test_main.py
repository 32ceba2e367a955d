from __future__ import annotations

from pathlib import Path

import pytest

from local.toolchain.__main__ import main


def test_usage_is_shown_when_the_command_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["remove"]) == 2
    assert "ensure [TOOL...]" in capsys.readouterr().err


def test_error_is_one_message_when_a_tool_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLP_CACHE_DIR", str(tmp_path))
    assert main(["ensure", "nonsense"]) == 1
    assert capsys.readouterr().err.startswith("error: unknown tool nonsense: allowed are ")
    assert list(tmp_path.iterdir()) == []


def test_error_is_one_message_when_a_variable_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLP_CACHE_DIR", "relative")
    assert main(["ensure", "etcd"]) == 1
    assert capsys.readouterr().err.startswith("error: MLP_CACHE_DIR='relative': allowed is ")
