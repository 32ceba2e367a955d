"""An application on the platform: its users ask for predictions, and it reports what they did with the answers."""

from __future__ import annotations

import base64
import itertools
import json
import random
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from tests.e2e.beside import Beside
from tests.e2e.cluster import Answers, Cluster

Behaviour = Mapping[str, Mapping[str, float]]
"""Per slot and metric: the probability that a user does well with an answer of that slot."""
_USERS_PER_ROUND = 150


class Api:
    """The platform's API through the gateway, as a program with a token of one scope."""

    def __init__(self, cluster: Cluster, scope: str = "decide") -> None:
        self._cluster = cluster
        secret = cluster.get("secret", cluster.outputs["api"]["tokenSecret"])
        self.token = base64.b64decode(secret["data"][scope]).decode()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Return status and document of one request; `path` is below `/ml/ab-tests`."""
        command = [
            "curl", "--silent", "--show-error", "--max-time", "20", "--request", method,
            "--write-out", "\n%{http_code}",
            "--header", f"Host: {self._cluster.outputs['hosts']['api']}",
            "--header", f"Authorization: Bearer {self.token}", "--header", "Content-Type: application/json",
            *([] if body is None else ["--data-binary", "@-"]),
            f"http://{self._cluster.instance.gateway_address}/ml/ab-tests{path}",
        ]  # fmt: skip
        stdin = None if body is None else json.dumps(body)
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), cast("dict[str, Any]", json.loads(text or "{}"))


@dataclass
class Application(Beside):
    """Users that come once each, round after round, until the block is left or the time is over."""

    ends_by_itself_seconds: ClassVar[float] = 300.0
    patience_seconds: ClassVar[float] = 60.0
    cluster: Cluster
    model: str
    behaviour: Behaviour
    concurrency: int = 8
    report: bool = True
    """Whether the application reports outcomes at all."""
    answers: list[Answers] = field(default_factory=list[Answers])
    refused: list[object] = field(default_factory=list[object])

    def work(self) -> None:
        """Ask with new users, round after round, and report what they did."""
        chance = random.Random(1)  # noqa: S311 simulated users, not a secret
        api = Api(self.cluster, "write")
        run = f"{time.time_ns():x}"
        for round_number in itertools.count():
            if self.is_over:
                return
            users = [f"{run}-{round_number}-{number}" for number in range(_USERS_PER_ROUND)]
            answers = self.cluster.send(self.model, users, concurrency=self.concurrency)
            self.answers.append(answers)
            if self.report:
                self._report(api, answers, chance.random)

    def _report(self, api: Api, answers: Answers, uniform: Callable[[], float]) -> None:
        now = time.time()
        outcomes = [
            {
                "id": f"{user}-{metric}",
                "model": self.model,
                "userId": user,
                "slot": slot,
                "metric": metric,
                "value": 1.0 if uniform() < probability else 0.0,
                "at": now,
            }
            for user, slot in answers.slot_of_user.items()
            for metric, probability in self.behaviour.get(slot, {}).items()
        ]
        if outcomes:
            status, document = api.call("POST", "/outcomes", {"outcomes": outcomes})
            if status >= 300:
                self.refused.append((status, document))
