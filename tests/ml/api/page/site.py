"""The page over real HTTP with three experiments: one that runs, one that has ended, one of three arms."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from ml.api.page.security import BASE_PATH, COOKIE
from tests.ml.api.page.serving import MemorySource
from tests.ml.api.page.simulated import BETTER, World, simulate, specification

RUNNING = simulate("new-ranking")
ENDED = simulate(
    "shorter-prompt",
    BETTER,
)
THREE = simulate(
    "three-arms",
    World(
        conversion=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.1),
        slow=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.01),
        failed=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.01),
    ),
    looks=20,
    spec=specification(("candidate-a", "candidate-b")),
)


@dataclass
class Site:
    url: str
    source: MemorySource

    def client(self, token: str = "") -> httpx.Client:
        cookies = {COOKIE: token} if token else {}
        return httpx.Client(base_url=f"{self.url}{BASE_PATH}", cookies=cookies, trust_env=False)


def form_of(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return found[1]
