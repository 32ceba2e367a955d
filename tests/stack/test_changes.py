"""What a change of the settings touches: the objects that it is about and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.settings import MOST_MODELS
from ml.contracts import DEFAULT_MODELS
from tests.support.recording_monitor import Graph
from tests.support.stacks import STACKS, StackUnderTest, with_models

CONFIG_MAP_BYTES = 1024 * 1024
"""The most that Kubernetes keeps in one."""


def changed_objects(before: Graph, after: Graph) -> set[str]:
    """Return the names of the objects that differ, as `Kind name`."""
    names: set[str] = set()
    for urn in before.resources.keys() | after.resources.keys():
        old, new = before.resources.get(urn), after.resources.get(urn)
        if old is None or new is None or old.inputs != new.inputs:
            item = new or old
            assert item is not None
            names.add(f"{item.kind or item.type} {item.name}")
    return names


def with_settings(stack: str, **changes: Any) -> Graph:
    base = STACKS[stack]
    return StackUnderTest(name=base.name, added={**base.added, **changes}).run()


CHANGES: list[tuple[str, Mapping[str, Any], set[str]]] = [
    ("workers", {"trackingServer": {"workers": 3, "replicas": 1, "cpuMillis": 100}}, {"Deployment tracking-server"}),
    ("gateway address", {"gatewayAddress": "127.0.0.1:9090"}, set()),
    (
        "timeout",
        {
            "controller": {
                "replicas": 1,
                "splitTimeoutSeconds": 60,
                "resources": {"cpuMillis": 50, "memoryMib": 128, "memoryLimitMib": 512},
            }
        },
        {"Deployment experiment-controller"},
    ),
    (
        "issuer",
        {
            "api": {
                "replicas": 1,
                "resources": {"cpuMillis": 50, "memoryMib": 160, "memoryLimitMib": 512},
                "oidc": {
                    "issuer": "https://login.example.org",
                    "audience": "mlplatform",
                    "keysUrl": "https://login.example.org/keys",
                },
            }
        },
        {"Deployment api", "NetworkPolicy api-issuer"},
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_only_these_objects_change_when_one_setting_does(
    local: Graph, changes: Mapping[str, Any], expected: set[str]
) -> None:
    assert changed_objects(local, with_settings("local", **changes)) == expected


def test_routes_and_other_models_stay_when_a_model_is_added(local: Graph) -> None:
    models = [{"name": name} for name in (*DEFAULT_MODELS, "a_third_model")]
    changed = changed_objects(local, with_settings("local", models=models))
    assert changed
    assert all("a-third-model" in name for name in changed)


def test_each_model_costs_as_much_as_the_last_when_there_are_many() -> None:
    graphs = {count: with_models("prod", count).run() for count in (1, 2, 12)}
    resources = {count: len(graph.resources) for count, graph in graphs.items()}
    of_one = resources[2] - resources[1]
    assert of_one > 0
    assert resources[12] == resources[2] + 10 * of_one
    rules_bytes = {count: rules_size_bytes(graph) for count, graph in graphs.items()}
    of_one_bytes = (rules_bytes[12] - rules_bytes[2]) / 10
    assert rules_bytes[2] + MOST_MODELS * of_one_bytes < CONFIG_MAP_BYTES


def rules_size_bytes(graph: Graph) -> int:
    """Return what Prometheus is told in its rules, of all objects the one that grows most with the models."""
    return len(json.dumps(graph.object("ConfigMap", "prometheus-rules").manifest))


def test_no_stateful_set_changes_when_a_slot_is_added(local: Graph) -> None:
    models = [{"name": name, "slots": ["stable", "candidate-a", "candidate-b"]} for name in DEFAULT_MODELS]
    changed = changed_objects(local, with_settings("local", models=models))
    assert {name.split()[0] for name in changed} == {"Deployment", "VirtualService", "DestinationRule"}
    assert not any("-stable" in name or "-candidate-a" in name for name in changed)
