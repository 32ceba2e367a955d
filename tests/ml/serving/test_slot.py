"""A whole slot on this machine: a tracking server, a model server, and sync between them, all real."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from ml.serving.client import ClientSettings, PredictionClient, PredictionError
from ml.serving.model_server import ModelServer
from ml.serving.registry import Registry
from ml.serving.sync import Settings, Sync
from ml.serving.sync_status import SlotStatus
from ml.serving.version_store import VersionStore
from tests.local.modelserver.saved_models import write_broken_model, write_text_model
from tests.local.modelserver.server_process import ServerProcess
from tests.ml.serving.registered import register, set_alias
from tests.support.tracking_server import TrackingServer

MODEL = "slot_model"
ALIAS = "champion"


class Slot:
    """Sync as the pod runs it, one step at a time."""

    def __init__(self, registry_url: str, server: ServerProcess, base_path: Path) -> None:
        self.server = server
        self._settings = Settings(
            model=MODEL,
            alias=ALIAS,
            registry_url=registry_url,
            base_path=base_path,
            server_url=server.target.rest_url,
            interval_seconds=1.0,
            port=0,
            load_timeout_seconds=60.0,
        )
        self.restart()

    def restart(self) -> None:
        """Let sync start again with what it wrote down."""
        settings = self._settings
        self._sync = Sync(
            settings,
            registry=Registry(settings.registry_url),
            server=ModelServer(settings.server_url, MODEL),
            store=VersionStore(settings.base_path, MODEL),
        )

    def until(self, condition: Callable[[SlotStatus], bool]) -> SlotStatus:
        """Let sync work until its status is as expected, and return it."""
        deadline = time.monotonic() + 120
        while True:
            self._sync.step(time.monotonic())
            status = self._sync.board.read()
            if condition(status):
                return status
            assert time.monotonic() < deadline, f"{status}\n{self.server.log}"
            time.sleep(0.1)

    def answering(self) -> int:
        """Return the version that a client gets an answer from."""
        with PredictionClient(self.server.target.rest_url, MODEL) as client:
            (prediction,) = client.predict(["text"])
        return int(prediction["version"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with versions to register: 1 and 2 load, 3 does not."""
    folder = tmp_path_factory.mktemp("versions")
    for version in (1, 2):
        write_text_model(folder, version)
    write_broken_model(folder, 3)
    return folder


@pytest.fixture
def slot(tracking_server: TrackingServer, tmp_path: Path) -> Generator[Slot]:
    with ServerProcess(tmp_path, MODEL, tmp_path / "models" / MODEL) as server:
        yield Slot(tracking_server.url, server, tmp_path / "models")


def test_slot_follows_its_alias_when_versions_come_and_go(
    slot: Slot, tracking_server: TrackingServer, models: Path
) -> None:
    url = tracking_server.url
    assert not slot.until(lambda status: status.phase == "empty").ready

    first, second, third = (register(url, MODEL, models / str(version)) for version in (1, 2, 3))
    set_alias(url, MODEL, ALIAS, first)
    assert slot.until(lambda status: status.serves(first)).ready
    assert slot.answering() == 1

    set_alias(url, MODEL, ALIAS, second)
    slot.until(lambda status: status.serves(second))
    assert slot.answering() == 2

    # A version that does not load: the old one keeps answering, the status says why, and it is fetched once.
    set_alias(url, MODEL, ALIAS, third)
    failed = slot.until(lambda status: status.phase == "failed")
    assert (failed.ready, failed.serving_version, failed.wanted_version) == (True, second, third)
    assert "saved_model.pb" in failed.error
    assert slot.answering() == 2
    slot.restart()
    again = slot.until(lambda status: status.phase == "failed")
    assert (again.fetches, again.ready, again.error) == (0, True, failed.error)

    # Back to the first version, which is lower than the one on disk.
    set_alias(url, MODEL, ALIAS, first)
    back = slot.until(lambda status: status.serves(first))
    assert back.ready
    assert slot.answering() == 1

    # The tracking server is away: the slot stays as it is, even when sync starts anew.
    tracking_server.stop()
    try:
        away = slot.until(lambda status: not status.registry_reachable)
        assert (away.ready, away.serving_version) == (True, first)
        slot.restart()
        assert slot.until(lambda status: status.phase == "serving").ready
        assert slot.answering() == 1
    finally:
        tracking_server.start()

    set_alias(url, MODEL, ALIAS, None)
    assert not slot.until(lambda status: status.phase == "empty").ready
    slot.server.wait_for(lambda: slot.server.states()[first] == "END")
    with pytest.raises(PredictionError, match="Servable not found"):
        slot.answering()


def test_many_texts_are_answered_in_order_when_they_are_asked_in_batches(tmp_path: Path, models: Path) -> None:
    with ServerProcess(tmp_path, MODEL, models, "--file_system_poll_wait_seconds=0") as server:
        # The highest version here is broken, so a server that starts on this folder must not start at all.
        assert server.wait() == 1
    (models / "3").rename(models / ".3")
    with ServerProcess(tmp_path, MODEL, models) as server:
        server.wait_until_open()
        texts = ["x" * length for length in range(150)]
        with PredictionClient(server.target.rest_url, MODEL, ClientSettings(batch_size=32)) as client:
            predictions = list(client.predict(texts))
        assert [prediction["length"] for prediction in predictions] == list(range(150))
        with PredictionClient(server.target.rest_url, MODEL, version=99) as client:
            with pytest.raises(PredictionError, match="Servable not found") as refused:
                list(client.predict(["x"]))
            assert refused.value.status == 404
    (models / ".3").rename(models / "3")
