from __future__ import annotations

import re

import pytest

from local.node.lifecycle import CNI_PLUGINS
from local.node.services import NEEDED_BINARIES, NODE_TOOLS
from local.toolchain.catalog import DEBIAN_TOOLS, GO_TOOLS, TOOLS, GoTool
from local.toolchain.installer import MODULES, select

go_tools = pytest.mark.parametrize("tool", GO_TOOLS, ids=lambda tool: tool.name)


@go_tools
def test_each_package_is_pinned_when_a_tool_is_built(tool: GoTool) -> None:
    text = (MODULES / tool.folder / "go.mod").read_text()
    declared = set(re.findall(r"^(?:tool |\t)(\S+/\S+)$", text, re.MULTILINE))
    assert set(tool.packages.values()) <= declared
    assert (MODULES / tool.folder / "go.sum").stat().st_size > 0


@go_tools
def test_version_is_the_pinned_one_when_a_tool_is_named_after_it(tool: GoTool) -> None:
    text = (MODULES / tool.folder / "go.mod").read_text()
    if tool.name == "istio":
        # Its tags are not served as module versions; this is the commit of release 1.30.4.
        assert "istio.io/istio v0.0.0-20260827124520-eed52ebb66ad" in text
    else:
        assert re.search(rf"\sv(0\.0\.0-)?{re.escape(tool.version)}\b", text)


@go_tools
def test_further_files_come_from_pinned_modules(tool: GoTool) -> None:
    for file in tool.files.values():
        assert f"\t{file.module} v" in (MODULES / file.folder / "go.mod").read_text()


@go_tools
def test_release_is_fetched_and_verified_over_https(tool: GoTool) -> None:
    if tool.release is not None:
        assert tool.release.url.startswith("https://")
        assert tool.release.checksum_url.startswith("https://")
        assert tool.version in tool.release.url or tool.name == "pulumi-language-python"
        assert not tool.release.members or set(tool.release.members) == set(tool.binaries)
        assert tool.release.members or "{binary}" in tool.release.url


@go_tools
def test_preflight_can_ask_the_registry_for_a_module_that_each_tool_needs(tool: GoTool) -> None:
    assert "golang.org/x/sys v" in (MODULES / tool.folder / "go.mod").read_text()


def test_cluster_comes_up_without_what_is_only_there_on_demand() -> None:
    assert {tool.name for tool in TOOLS.values()} - {tool.name for tool in select(None)} == {
        "gcc",
        "karpenter",
        "keda",
        "libc6-dev",
        "nvidia-device-plugin",
        "oauth2-proxy",
    }


def test_no_two_tools_share_a_name_or_a_binary() -> None:
    assert len(TOOLS) == len(GO_TOOLS) + len(DEBIAN_TOOLS)
    binaries = [name for tool in TOOLS.values() for name in tool.binaries]
    assert len(binaries) == len(set(binaries))


def test_node_finds_every_binary_that_it_needs() -> None:
    binaries = {name for tool in NODE_TOOLS for name in TOOLS[tool].binaries}
    assert {*NEEDED_BINARIES, *CNI_PLUGINS} <= binaries


def test_no_module_folder_is_unused() -> None:
    assert {folder.name for folder in MODULES.iterdir()} == {tool.folder for tool in GO_TOOLS}
