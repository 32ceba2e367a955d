from __future__ import annotations

from pathlib import Path

import pytest

from local.node.config import NodeConfig, cgroup_of


def _config(**changes: object) -> NodeConfig:
    values: dict[str, object] = {
        "name": "local",
        "state_dir": Path("/srv/state/node"),
        "api_port": 16443,
        "gateway_port": 8080,
        "pause_image": "localhost/pause:1",
        **changes,
    }
    return NodeConfig(**values)  # pyright: ignore[reportArgumentType] bad values are what some tests are about


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "name=''"),
        ("name", "Upper", "name='Upper'"),
        ("name", "a" * 21, "1 to 20"),
        ("api_port", 0, "api_port=0: allowed is 1 to 65535"),
        ("gateway_port", 65536, "gateway_port=65536: allowed is 1 to 65535"),
        ("gateway_port", 16443, "gateway_port=16443: must differ from api_port"),
        ("state_dir", Path("relative"), "state_dir=relative: must be an absolute path"),
        ("state_dir", Path("/run/state"), "state_dir=/run/state: must not lie below"),
        ("state_dir", Path("/var/log/state"), "state_dir=/var/log/state: must not lie below"),
    ],
)
def test_field_is_named_when_its_value_is_not_allowed(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(**{field: value})


def test_configuration_is_the_same_when_it_was_written_and_read() -> None:
    config = _config(binaries={"etcd": "/cache/etcd"})
    assert NodeConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("text", ["", "{}", '{"state_dir": "/x", "unknown": 1}', "[1]"])
def test_text_is_refused_when_it_is_no_configuration(text: str) -> None:
    with pytest.raises(ValueError, match="not a node configuration"):
        NodeConfig.from_json(text)


def test_cgroups_differ_when_nodes_share_only_their_name() -> None:
    first, second = cgroup_of("local", Path("/a/node")), cgroup_of("local", Path("/b/node"))
    assert first != second
    assert first.startswith("/mlplatform-local-")
    assert _config().cgroup == cgroup_of("local", Path("/srv/state/node"))
