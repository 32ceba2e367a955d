from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ml.api.page.simulated import EQUAL, Simulated, World, simulate
from tests.ml.cli.experiment.live import LiveApi, live_api

RUNNING = simulate("new-ranking", looks=40)
ENDED = simulate(
    "shorter-prompt",
    World(conversion={"stable": 0.10, "candidate-a": 0.14}, slow=EQUAL.slow, failed=EQUAL.failed),
)


@pytest.fixture(name="api", scope="session")
def _api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """The API with one running and one promoted experiment."""
    with live_api(tmp_path_factory.mktemp("tokens")) as api:
        api.put(RUNNING)
        api.put(ENDED)
        yield api


@pytest.fixture
def running() -> Simulated:
    return RUNNING


@pytest.fixture
def ended() -> Simulated:
    return ENDED
