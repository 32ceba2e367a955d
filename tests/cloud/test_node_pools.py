"""A real API server takes the pools of every stack, and refuses what Karpenter's own expressions forbid.

What this does not prove: that Karpenter makes a node of any of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.provider.control_plane import ControlPlane
from tests.support.recording_monitor import Graph
from tests.support.stacks import CLOUD_STACKS, STACKS

KINDS = ("EC2NodeClass", "NodePool")


@pytest.fixture(scope="module", params=CLOUD_STACKS)
def cloud(request: pytest.FixtureRequest) -> Graph:
    return STACKS[request.param].run()


def create(server: ControlPlane, folder: Path, manifest: dict[str, Any]) -> str:
    """Let the server judge an object without keeping it."""
    file = folder / "object.json"
    file.write_text(json.dumps(manifest))
    return server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(file))


def test_every_pool_is_taken_when_the_server_checks_it(api_server: ControlPlane, cloud: Graph, tmp_path: Path) -> None:
    objects = [item for kind in KINDS for item in cloud.of_kind(kind)]
    assert len(objects) >= 4
    for item in objects:
        assert "created (server dry run)" in create(api_server, tmp_path, item.manifest)


WRONG: list[tuple[str, tuple[str, ...], object, str]] = [
    ("EC2NodeClass", ("role",), "both", "must specify exactly one of"),
    ("EC2NodeClass", ("amiSelectorTerms",), [{"alias": "bottlerocket"}], "improperly formatted"),
    ("EC2NodeClass", ("tags",), {"eks:eks-cluster-name": "x"}, "restricted tag"),
    ("NodePool", ("template", "metadata", "labels"), {"karpenter.sh/nodepool": "x"}, "is restricted"),
    ("NodePool", ("disruption", "budgets"), [{"nodes": "1", "schedule": "@daily"}], "must be set with 'duration'"),
]


@pytest.mark.parametrize(("kind", "path", "value", "says"), WRONG, ids=[case[3] for case in WRONG])
def test_pool_is_refused_when_it_breaks_an_expression_of_karpenter(
    api_server: ControlPlane,
    cloud: Graph,
    tmp_path: Path,
    kind: str,
    path: tuple[str, ...],
    value: object,
    says: str,
) -> None:
    manifest = cloud.of_kind(kind)[0].manifest
    place = manifest["spec"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(AssertionError, match=says):
        create(api_server, tmp_path, manifest)
