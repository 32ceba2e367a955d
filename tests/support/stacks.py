"""The stacks of this repository as tests run them: the committed configuration and what only a deployment knows."""

from __future__ import annotations

import functools
import json
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from local.lifecycle.platform import STACK_IMAGES
from tests.support.recording_monitor import PROJECT, Graph, run

ROOT: Final = Path(__file__).resolve().parents[2]
MASTER_SECRET: Final = "a master secret that only the tests know"
_MASTER_SECRET_KEY: Final = f"{PROJECT}:masterSecret"
_GRAPHS_KEPT: Final = 12
"""Those of one file of tests, and of a few that come after it: a graph takes a second to make and some MB to keep."""


@dataclass(frozen=True, kw_only=True)
class StackUnderTest:
    """One stack's complete configuration."""

    name: str
    added: Mapping[str, Any]
    """What is not in the committed file, by key without the project's namespace."""

    def config(self) -> dict[str, str]:
        """Return the configuration as the engine hands it to a program: every value a text."""
        committed = yaml.safe_load((ROOT / f"Pulumi.{self.name}.yaml").read_text(encoding="utf-8"))["config"]
        added = {f"{PROJECT}:{key}": value for key, value in self.added.items()}
        values = {**cast("dict[str, Any]", committed), **added, _MASTER_SECRET_KEY: MASTER_SECRET}
        return {key: as_text(value) for key, value in values.items()}

    def run(self, *, preview: bool = False, encrypted: tuple[str, ...] = ()) -> Graph:
        """Return what the whole program declares under this configuration, of which these keys are encrypted too.

        The graph may be one that somebody else has been given before: it is to be read only.
        """
        return _declared(self.name, json.dumps(self.added), preview, encrypted)

    def run_anew(self, *, preview: bool = False, encrypted: tuple[str, ...] = ()) -> Graph:
        """Run the whole program in any case, for those who look at what else happens meanwhile."""
        return run(
            lambda: _ignore(runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")),
            stack=self.name,
            preview=preview,
            config=self.config(),
            encrypted=(_MASTER_SECRET_KEY, *(f"{PROJECT}:{key}" for key in encrypted)),
        )


@functools.lru_cache(_GRAPHS_KEPT)
def _declared(name: str, added: str, preview: bool, encrypted: tuple[str, ...]) -> Graph:
    return StackUnderTest(name=name, added=json.loads(added)).run_anew(preview=preview, encrypted=encrypted)


STACKS: Final = {
    stack.name: stack
    for stack in (
        StackUnderTest(
            name="local",
            added={
                "kubeconfig": "/state/kubeconfig",
                "gatewayAddress": "127.0.0.1:8080",
                "images": {name: f"localhost/mlplatform/{name}:0123456789ab" for name in STACK_IMAGES},
            },
        ),
        StackUnderTest(name="dev", added={}),
        StackUnderTest(name="staging", added={}),
        StackUnderTest(name="prod", added={}),
    )
}
CLOUD_STACKS: Final = ("staging", "prod")
"""Stacks that make their own cluster."""


def with_models(name: str, count: int) -> StackUnderTest:
    """Return a stack that serves so many models instead of its own."""
    base = STACKS[name]
    models = [{"name": f"model_{number}"} for number in range(count)]
    return StackUnderTest(name=name, added={**base.added, "models": models})


_PAGES: Final[Mapping[str, Any]] = {
    "access": {
        "tls": "gateway",
        "certificateIssuer": {"name": "public"},
        "login": {"issuer": "https://login.example.org", "clientId": "mlplatform", "audience": "programs"},
    },
    "prerequisites": {"certManager": "present"},
}
PIPELINES_WITH_PAGE: Final = StackUnderTest(
    name="dev",
    added={
        **_PAGES,
        "pipelineService": {"enabled": True, "replicas": 2},
    },
)
"""The shared cluster once it has an issuer of tokens: all pages and their logins, TLS at the gateway, and budgets."""


_TEAMS: Final = [
    {
        "name": "vision",
        "groups": ["ml-vision"],
        "costCenter": "research-17",
        "quota": {"cpus": 16, "memoryGib": 64, "gpus": 1, "storageGib": 200},
    },
    {"name": "text-quality", "groups": ["ml-text", "contractors"], "costCenter": "4711", "ownNamespace": "quality"},
]
TEAMS: Final = StackUnderTest(name="dev", added={**_PAGES, "teams": _TEAMS})
"""The shared cluster with two teams in it, who open pages behind a login."""
TEAMS_IN_CLOUD: Final = StackUnderTest(name="staging", added={"teams": _TEAMS})
"""A stack on AWS with the same two teams: the store is the cloud's."""


CARD_CLAIMS: Final = StackUnderTest(
    name="dev",
    added={
        "gpu": {"allocation": "claims", "quota": 16},
        "modelServer": {"accelerator": "l4", "resources": {"gpus": 1}},
        "prerequisites": {"draDriver": "present"},
        "teams": _TEAMS,
    },
)
"""The shared cluster with NVIDIA's driver for devices: model servers and teams claim whole cards."""


_WITH_OPERATOR: Final = {"cloudNativePg": "install", "barmanCloud": "install", "certManager": "install"}
DATABASE_CLUSTER: Final = StackUnderTest(
    name="dev",
    added={
        "metadataDb": {"kind": "cloudNativePg", "cluster": {"instances": 3}},
        "prerequisites": _WITH_OPERATOR,
    },
)
"""The shared cluster with a PostgreSQL that CloudNativePG runs, and backups in the platform's own store."""
DATABASE_CLUSTER_IN_CLOUD: Final = StackUnderTest(
    name="staging",
    added={
        "metadataDb": {"kind": "cloudNativePg", "cluster": {"instances": 3, "backupDays": 35}},
        "prerequisites": {"istio": "install", "keda": "install", **_WITH_OPERATOR},
    },
)
"""A stack on AWS with such a PostgreSQL, and backups in a bucket of their own."""


def as_text(value: object) -> str:
    """Return a configuration value as the engine writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _ignore(_: object) -> None:
    return None
