from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import pytest
import yaml

from components.settings_scaling import AutoscalingSettings
from local.images.catalog import programs, read_containerfiles
from local.node.addons import manifest
from local.node.prerequisites import PREREQUISITES
from local.paths import repo_root
from local.toolchain.catalog import CLUSTER_TOOLS, TOOLS, GoTool
from ml.contracts.prerequisites import PREREQUISITES as KNOWN
from tests.support.pods import assert_restricted

Objects = dict[tuple[str, str], dict[str, Any]]

each = pytest.mark.parametrize("name", PREREQUISITES)


def _objects(name: str) -> Objects:
    wanted = PREREQUISITES[name]
    text = manifest(wanted.manifest, {f"IMAGE_{wanted.image.upper()}": "localhost/image:1"})
    documents = cast("Iterable[dict[str, Any]]", yaml.safe_load_all(text))
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


def _deployments(name: str) -> list[dict[str, Any]]:
    return [item for (kind, _), item in _objects(name).items() if kind == "Deployment"]


@each
def test_name_is_one_that_a_stack_may_expect(name: str) -> None:
    assert name in KNOWN


@each
def test_operator_is_found_when_somebody_asks_for_the_prerequisite(name: str) -> None:
    labels = [deployment["metadata"]["labels"] for deployment in _deployments(name)]
    wanted = dict(part.split("=") for part in (KNOWN[name].operator or "").split(","))
    assert [found for found in labels if wanted.items() <= found.items()]


@each
def test_every_definition_that_is_needed_is_a_file_of_its_tool(name: str) -> None:
    tool = TOOLS[PREREQUISITES[name].tool]
    assert isinstance(tool, GoTool)
    assert set(PREREQUISITES[name].definitions) == set(tool.files)
    needed = {
        f"{group}_{plural}.yaml" for plural, _, group in (kind.partition(".") for kind in KNOWN[name].definitions)
    }
    assert needed <= set(tool.files)


@each
def test_default_cluster_does_not_build_it(name: str) -> None:
    assert PREREQUISITES[name].tool not in CLUSTER_TOOLS


@each
def test_its_image_copies_only_programs_of_its_tool(name: str) -> None:
    _, file = read_containerfiles(repo_root())[PREREQUISITES[name].image]
    tool = TOOLS[PREREQUISITES[name].tool]
    assert isinstance(tool, GoTool)
    assert set(programs(file)) == set(tool.packages)


@each
def test_objects_lie_in_its_namespace_or_none(name: str) -> None:
    home = PREREQUISITES[name].namespace
    assert ("Namespace", home) in _objects(name)
    placed = {item["metadata"].get("namespace", home) for item in _objects(name).values()}
    assert placed <= {home, "kube-system"}


@each
def test_pods_keep_to_the_restricted_profile(name: str) -> None:
    for deployment in _deployments(name):
        pod = deployment["spec"]["template"]["spec"]
        assert_restricted(pod)
        for container in pod["containers"]:
            assert container["image"] == "localhost/image:1"


@each
def test_nobody_may_read_every_secret_or_write_everything(name: str) -> None:
    for (kind, _), item in _objects(name).items():
        rules = cast("list[dict[str, list[str]]]", item.get("rules", []))
        for rule in rules if kind == "ClusterRole" else []:
            assert "secrets" not in rule["resources"]
            assert "*" not in rule["verbs"]
            assert "*" not in rule["apiGroups"]


def test_keda_is_where_the_settings_look_for_it_by_default() -> None:
    assert PREREQUISITES["keda"].namespace == AutoscalingSettings().keda_namespace
    assert not re.search(r"\$\{", yaml.safe_dump_all(_objects("keda").values()))


def test_keda_knows_that_it_may_not_read_secrets_elsewhere() -> None:
    """It waits for them for ever otherwise, as soon as it scales what has a Secret in its environment."""
    (operator,) = [item for item in _deployments("keda") if item["metadata"]["name"] == "keda-operator"]
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert {"name": "KEDA_RESTRICT_SECRET_ACCESS", "value": "true"} in container["env"]
