"""What is asked of the machine before a platform comes up."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import node
from local.lifecycle import platform
from local.lifecycle.instance import Instance
from local.node import NodeConfig, NodeHandle


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(name="local", state_dir=tmp_path, api_port=16443, gateway_port=9000)


def test_both_ports_must_be_free_when_nothing_runs(instance: Instance) -> None:
    assert platform.ports_to_take(instance) == {"MLP_API_PORT": 16443, "MLP_GATEWAY_PORT": 9000}


def test_only_the_other_port_must_be_free_when_a_running_platform_gets_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = NodeConfig(name="local", state_dir=instance.node_dir, pause_image="p:1", api_port=16443)

    def running(_state_dir: Path) -> bool:
        return True

    def attach(_state_dir: Path) -> NodeHandle:
        return NodeHandle(config, 1)

    monkeypatch.setattr(node, "is_running", running)
    monkeypatch.setattr(node, "attach", attach)
    assert platform.ports_to_take(instance) == {"MLP_GATEWAY_PORT": 9000}
