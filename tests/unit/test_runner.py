"""The runner of `make test`: whatever a stage does, the summary tells it and the exit code follows."""

from __future__ import annotations

import sys

import pytest

from tests import run as runner
from tests.run import Stage


def _stage(name: str, code: str, *, beside: bool = False) -> Stage:
    return Stage(name, (sys.executable, "-c", code), beside=beside)


def test_every_stage_runs_and_is_reported_in_order_when_one_fails() -> None:
    stages = [
        _stage("first", "print('one')", beside=True),
        _stage("second", "raise SystemExit(3)"),
        _stage("third", "pass"),
    ]
    results = runner.run(stages)
    assert [(result.name, result.exit_code) for result in results] == [("first", 0), ("second", 3), ("third", 0)]


def test_output_of_a_stage_beside_follows_the_others_when_it_was_faster(capfd: pytest.CaptureFixture[str]) -> None:
    runner.run(
        [
            _stage("fast", "print('from beside')", beside=True),
            _stage("slow", "import time; time.sleep(.3); print('own')"),
        ]
    )
    shown = capfd.readouterr().out
    assert shown.index("own") < shown.index("== fast") < shown.index("from beside")


def test_time_of_a_stage_beside_is_its_own_when_others_take_longer() -> None:
    short, long = runner.run([_stage("short", "pass", beside=True), _stage("long", "import time; time.sleep(2)")])
    assert short.seconds < long.seconds


def test_no_stage_is_left_when_another_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    popen = runner.subprocess.Popen

    def note(*arguments: object, **options: object) -> object:
        process = popen(*arguments, **options)  # type: ignore[call-overload] - passed on as given
        started.append(process.pid)
        return process

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.subprocess, "Popen", note)
    monkeypatch.setattr(runner.subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner.run([_stage("long", "import time; time.sleep(60)", beside=True), _stage("cut", "pass")])
    (pid,) = started
    with pytest.raises(ProcessLookupError):
        runner.os.kill(pid, 0)


def test_exit_code_is_one_when_a_stage_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "STAGES", (_stage("good", "pass"), _stage("bad", "raise SystemExit(2)")))
    assert runner.main("check") == 1
    assert "FAILED" in capsys.readouterr().out
    monkeypatch.setattr(runner, "STAGES", (_stage("good", "pass"),))
    assert runner.main("all") == 0


def test_error_names_what_is_allowed_when_the_selection_is_unknown() -> None:
    with pytest.raises(SystemExit, match="'everything': allowed are all, check"):
        runner.main("everything")


def test_each_kind_of_check_is_part_of_the_full_run() -> None:
    names = {stage.name for stage in runner.STAGES if "all" in stage.selections}
    assert names == {"types", "lint", "format", "architecture", "tests", "end to end"}
