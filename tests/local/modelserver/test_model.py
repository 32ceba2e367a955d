"""Loading, replacing and losing versions of real models on disk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from local.modelserver.lifecycle import State
from local.modelserver.model import LoadSettings, Model, versions_on_disk
from local.modelserver.monitoring import Metrics
from local.modelserver.servable import SessionSettings
from local.modelserver.status import Code, StatusError
from local.modelserver.text_proto import ModelConfig, VersionPolicy
from tests.local.modelserver.saved_models import (
    write_broken_model,
    write_failing_model,
    write_text_model,
    write_warm_up,
)

SETTINGS = LoadSettings(
    session=SessionSettings(intra_op_threads=1, inter_op_threads=1),
    maximum_retries=0,
    retry_interval_seconds=0.01,
    enable_warm_up=True,
    warm_up_iterations=2,
)


class Slot:
    """A model with its folder and the thread that loads."""

    def __init__(self, base_path: Path, policy: VersionPolicy, settings: LoadSettings) -> None:
        self.base_path = base_path
        self.metrics = Metrics()
        self.model = Model(ModelConfig("m", base_path, policy, {"stable": 1, "gone": 9}), settings, self.metrics)
        self._executor = ThreadPoolExecutor(1)

    def settle(self, expected: dict[int, State]) -> None:
        """Look at the disk until the versions are as expected."""
        deadline = time.monotonic() + 60
        while (found := {number: version.state for number, version in self.model.states().items()}) != expected:
            assert time.monotonic() < deadline, f"expected {expected}, found {found}"
            self.model.reconcile(self._executor)
            time.sleep(0.01)

    def answering(self) -> int:
        """Return which version says that it answers."""
        with self.model.available() as (number, servable):
            outputs = servable.predict("", {"input": np.array([b"text"], dtype=object)})
        assert int(outputs["version"][0]) == number
        return number

    def close(self) -> None:
        self.model.stop()
        self._executor.shutdown()


@pytest.fixture
def make_slot(tmp_path: Path) -> Generator[Callable[..., Slot]]:
    slots: list[Slot] = []

    def make(policy: VersionPolicy | None = None, settings: LoadSettings = SETTINGS) -> Slot:
        slots.append(Slot(tmp_path / "m", policy or VersionPolicy(), settings))
        return slots[-1]

    yield make
    for slot in slots:
        slot.close()


def test_new_version_replaces_old_one_when_it_appears(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    slot.settle({1: State.AVAILABLE})
    write_text_model(slot.base_path, 2, hidden=True).rename(slot.base_path / "2")
    slot.settle({2: State.AVAILABLE, 1: State.END})
    assert slot.answering() == 2


def test_old_version_keeps_answering_when_new_one_is_broken(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    slot.settle({1: State.AVAILABLE})
    write_broken_model(slot.base_path, 2)
    slot.settle({2: State.END, 1: State.AVAILABLE})
    error = slot.model.states()[2].error
    assert error is not None
    assert error.code is not Code.OK
    assert "saved_model.pb" in error.message
    assert slot.answering() == 1
    assert any(
        "load_attempt_count{model_path=" in line and 'status="fail"} 1' in line
        for line in slot.metrics.load_attempts.lines()
    )


def test_lower_version_answers_again_when_higher_is_removed(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    write_text_model(slot.base_path, 2)
    slot.settle({2: State.AVAILABLE})
    (slot.base_path / "2").rename(slot.base_path / ".2")
    slot.settle({2: State.END, 1: State.AVAILABLE})
    assert slot.answering() == 1


def test_nothing_is_served_when_the_folder_is_emptied(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    slot.settle({1: State.AVAILABLE})
    (slot.base_path / "1").rename(slot.base_path / ".1")
    slot.settle({1: State.END})
    with pytest.raises(StatusError, match=r"Servable not found for request: Latest\(m\)"), slot.model.available():
        pass
    (slot.base_path / ".1").rename(slot.base_path / "1")
    slot.settle({1: State.AVAILABLE})


def test_both_versions_answer_when_the_policy_keeps_two(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot(VersionPolicy("latest", 2))
    for version in (1, 2, 3):
        write_text_model(slot.base_path, version)
    slot.settle({3: State.AVAILABLE, 2: State.AVAILABLE})
    with slot.model.available(2) as (number, _):
        assert number == 2


def test_labels_lead_to_their_versions_when_the_version_is_available(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    slot.settle({1: State.AVAILABLE})
    with slot.model.available(label="stable") as (number, _):
        assert number == 1
    with pytest.raises(StatusError, match=r"Specific\(m, 9\)"), slot.model.available(label="gone"):
        pass
    with (
        pytest.raises(StatusError, match="Unrecognized servable version label: other"),
        slot.model.available(label="other"),
    ):
        pass


def test_version_is_not_available_when_its_warm_up_fails(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_warm_up(write_failing_model(slot.base_path, 1), ["long enough", "x"])
    slot.settle({1: State.END})
    error = slot.model.states()[1].error
    assert error is not None
    assert "text is too short" in error.message


def test_warm_up_is_measured_when_it_succeeds(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_warm_up(write_text_model(slot.base_path, 1), ["a", "b"])
    slot.settle({1: State.AVAILABLE})
    count = next(line for line in slot.metrics.warm_up_latency.lines() if "_count" in line)
    assert count.endswith(f'{{model_path="{slot.base_path}/1",status="OK"}} 1')


def test_damaged_warm_up_file_is_an_error_when_the_version_loads(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    path = write_text_model(slot.base_path, 1)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"damaged " * 8)
    slot.settle({1: State.END})
    error = slot.model.states()[1].error
    assert error is not None
    assert "verify your warmup data is in TFRecord format" in error.message


def test_loading_is_tried_again_when_retries_are_left(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot(settings=dataclasses.replace(SETTINGS, maximum_retries=2))
    write_broken_model(slot.base_path, 1)
    slot.settle({1: State.END})
    assert any(line.endswith('status="fail"} 3') for line in slot.metrics.load_attempts.lines())


def test_running_prediction_is_finished_when_its_version_is_unloaded(make_slot: Callable[..., Slot]) -> None:
    slot = make_slot()
    write_text_model(slot.base_path, 1)
    slot.settle({1: State.AVAILABLE})
    with slot.model.available() as (_, servable):
        (slot.base_path / "1").rename(slot.base_path / ".1")
        slot.settle({1: State.UNLOADING})
        time.sleep(0.2)
        assert slot.model.states()[1].state is State.UNLOADING
        outputs = servable.predict("", {"input": np.array([b"late"], dtype=object)})
        assert outputs["length"].tolist() == [4]
    slot.settle({1: State.END})


def test_only_folders_named_by_plain_numbers_count_when_versions_are_listed(tmp_path: Path) -> None:
    for name in ("1", "20", ".parked", "v3", "4x", "-5", "6.0"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert versions_on_disk(tmp_path) == {1, 20}
    assert versions_on_disk(tmp_path / "missing") == frozenset()
