"""When the program looks into a cluster and when it does not; what it finds there is asked in tests/stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components import platform_expectations
from components.platform_expectations import UnmetPrerequisitesError, require_prerequisites
from components.settings import load
from tests.support.recording_monitor import run
from tests.support.stacks import MASTER_SECRET, STACKS


def place_kubectl(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Path:
    """Make `kubectl` a script; return the file that says that it was called."""
    called = folder / "called"
    tool = folder / "kubectl"
    tool.write_text(f"#!/bin/sh\necho $* >> {called}\n{script}\n", encoding="utf-8")
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return called


def ask(*, preview: bool = False, **prerequisites: str) -> None:
    config = {
        "mlplatform:context": "shared",
        "mlplatform:imageRegistry": "registry.example.org",
        "mlplatform:masterSecret": MASTER_SECRET,
        "mlplatform:prerequisites": json.dumps(prerequisites),
    }
    run(
        lambda: require_prerequisites(load()),
        preview=preview,
        config=config,
        encrypted=("mlplatform:masterSecret",),
        asks_cluster=True,
    )


def test_no_cluster_is_asked_when_a_program_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called = place_kubectl(monkeypatch, tmp_path, "exit 1")
    assert STACKS["dev"].run_anew().kubernetes_objects()
    assert not called.exists()


def test_no_cluster_is_asked_when_nothing_is_expected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called = place_kubectl(monkeypatch, tmp_path, "exit 1")
    ask(istio="install")
    assert not called.exists()


def test_context_of_the_settings_is_asked_and_named_when_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called = place_kubectl(monkeypatch, tmp_path, "echo '{\"items\": []}'")
    with pytest.raises(UnmetPrerequisitesError, match="not met in the cluster of context `shared`, nothing has been"):
        ask()
    assert called.read_text(encoding="utf-8").splitlines()[0].startswith("--context=shared --request-timeout=10s get ")


def test_update_is_refused_with_a_remedy_when_there_is_no_kubectl(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnmetPrerequisitesError, match=r"`kubectl` is not on PATH\n.*make it answer.*MLP_OFFLINE=1"):
        ask()


def test_update_is_refused_when_the_cluster_takes_too_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform_expectations, "_TIMEOUT_SECONDS", 0.2)
    place_kubectl(monkeypatch, tmp_path, "exec sleep 5")
    with pytest.raises(UnmetPrerequisitesError, match=r"no answer within 0\.2 s"):
        ask()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("printf 'trying\\nError from server (Forbidden): not you\\n' >&2; exit 1", r"\(Forbidden\): not you"),
        ("exit 3", "kubectl ended with exit code 3"),
        ("echo '<html>'", "answer is no JSON"),
    ],
)
def test_words_of_the_cluster_are_repeated_when_it_refuses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, words: str
) -> None:
    place_kubectl(monkeypatch, tmp_path, script)
    with pytest.raises(UnmetPrerequisitesError, match=f"stack `test`: .*{words}"):
        ask()


def test_preview_goes_on_with_a_warning_when_the_cluster_is_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warned.append)
    monkeypatch.setenv("PATH", str(tmp_path))
    ask(preview=True)
    assert len(warned) == 1
    assert warned[0].endswith("`kubectl` is not on PATH; an update will be refused")
