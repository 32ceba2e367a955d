"""NVIDIA's own device plugin tells a real kubelet of a node's cards, as the platform has it told.

The cards are the machine's own where it has some, else on paper: then everything but computing is as with real ones.
Whoever computes needs no container toolkit here: the driver's libraries come as a volume.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from components._aws_catalogue import GPU_CARDS, MIG_SLICES
from components._workload import GPU_RESOURCE, SHARED_GPU_RESOURCE, Resources
from components.gpu_operator import GpuOperator
from components.model_server import ModelServer
from local import node, toolchain
from local.progress import ConsoleProgress
from tests.e2e import tiny_image
from tests.e2e.cards import LIBRARY, Cards, cards_of_this_machine, product, program_for_cards, slices
from tests.e2e.gpu_node import ACCELERATOR, PLUGIN_IMAGE, GpuNode, server_pod, with_driver
from tests.e2e.node_support import IDLE, SHELL_IMAGE, NodeUnderTest, eventually, new_config
from tests.support.catalogue import declare_one

pytestmark = pytest.mark.e2e

TURNS: Final = 3
COMPUTING_SECONDS: Final = 5


@pytest.fixture(scope="module")
def gpu_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuNode]:
    tools = toolchain.ensure([*node.NODE_TOOLS, "gcc", "libc6-dev", "nvidia-device-plugin"], ConsoleProgress())
    folder = tmp_path_factory.mktemp("gpus")
    cards = cards_of_this_machine(folder)
    config = new_config(f"gpus-{os.getpid()}", folder)
    try:
        embedded = NodeUnderTest(config, tools)
        handle = embedded.start()
        for archive in images(folder, tools, cards):
            handle.ctr(["images", "import", str(archive)])
        # Comes a moment after the node is ready; without it there are no pods.
        embedded.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        name = f"mlplatform-{config.name}"
        # As a pool's nodes are, in whatever cloud.
        embedded.kubectl("label", "node", name, f"accelerator={ACCELERATOR}")
        embedded.kubectl("taint", "node", name, f"{GPU_RESOURCE}=true:NoSchedule")
        yield GpuNode(embedded, cards)
    finally:
        node.destroy(config.name, config.state_dir)


def images(folder: Path, tools: toolchain.Toolchain, cards: Cards) -> list[Path]:
    """Return archives of the images, which have whatever the driver's libraries load besides each other."""
    program, plugin = program_for_cards(folder / "card-program"), tools.bin("nvidia-device-plugin")
    loaded = tiny_image.libraries_of(cards.libraries / LIBRARY)
    shell = tiny_image.with_libraries("/bin/sh", "/bin/sleep", str(program)) | loaded
    tiny_image.write(folder / "shell.tar", SHELL_IMAGE, shell, ["/bin/sh", "-c", IDLE])
    plugin_files = tiny_image.with_libraries(str(plugin)) | loaded
    tiny_image.write(folder / "plugin.tar", PLUGIN_IMAGE, plugin_files, [f"/bin/{plugin.name}"])
    return [folder / "shell.tar", folder / "plugin.tar"]


def plugin_settings(time_slices: int) -> dict[str, str]:
    """Return the file of settings, by name, that the platform writes for the operator's device plugin, if any."""
    graph = declare_one(GpuOperator, device_plugin=True, time_slices=time_slices, mig=False)
    return {name: text for config in graph.of_kind("ConfigMap") for name, text in config.manifest["data"].items()}


def test_each_card_has_its_turns_when_the_operator_is_told_of_them(gpu_node: GpuNode) -> None:
    gpu_node.run_plugin(plugin_settings(TURNS))
    gpu_node.await_allocatable({SHARED_GPU_RESOURCE: gpu_node.cards.count * TURNS, GPU_RESOURCE: 0})

    names = [f"turn-{number}" for number in range(gpu_node.cards.count * TURNS)]
    gpu_node.node.apply(*(server_pod(name, SHARED_GPU_RESOURCE) for name in names))
    turns = Counter(gpu_node.card_of(name) for name in names)
    assert len(turns) == gpu_node.cards.count
    assert set(turns.values()) == {TURNS}, turns

    gpu_node.node.apply(server_pod("turn-late", SHARED_GPU_RESOURCE))
    assert f"Insufficient {SHARED_GPU_RESOURCE}" in gpu_node.why_waiting("turn-late")
    given_up = gpu_node.card_of(names[0])
    gpu_node.remove(names[0])
    assert gpu_node.card_of("turn-late") == given_up
    gpu_node.remove(*names[1:], "turn-late")


def test_pod_is_refused_when_it_asks_for_two_turns(gpu_node: GpuNode) -> None:
    # The platform's settings refuse it; this is what anybody else is told.
    gpu_node.node.apply(server_pod("greedy", SHARED_GPU_RESOURCE, gpus=2))
    eventually(lambda: gpu_node.node.get("pod", "greedy")["status"]["phase"] == "Failed", 30, "the pod is refused")
    status = gpu_node.node.get("pod", "greedy")["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    assert "maximum request size for shared resources is 1" in status["message"]
    gpu_node.remove("greedy")


def test_two_pods_compute_on_one_card_when_they_take_turns(gpu_node: GpuNode) -> None:
    if not gpu_node.cards.real:
        pytest.skip("this machine has no NVIDIA card: there is nothing to compute on")
    names = ["computing-0", "computing-1"]
    script = f"exec card-program {COMPUTING_SECONDS}"
    gpu_node.node.apply(
        *(with_driver(server_pod(name, SHARED_GPU_RESOURCE, script=script), gpu_node) for name in names)
    )
    for name in names:
        gpu_node.node.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
        print(gpu_node.node.kubectl("logs", name))
    states = [gpu_node.node.get("pod", name)["status"]["containerStatuses"][0]["state"]["terminated"] for name in names]
    assert max(it["startedAt"] for it in states) < min(it["finishedAt"] for it in states), "not one after the other"
    assert all("all right after" in gpu_node.node.kubectl("logs", name) for name in names)
    gpu_node.remove(*names)


def test_pod_has_no_card_when_it_asks_for_none(gpu_node: GpuNode) -> None:
    if not gpu_node.cards.real:
        pytest.skip("this machine has no NVIDIA card: there is nothing to reach")
    pod = with_driver(server_pod("uninvited", SHARED_GPU_RESOURCE, script="exec card-program 1"), gpu_node)
    del pod["spec"]["containers"][0]["resources"]
    gpu_node.node.apply(pod)
    gpu_node.node.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/uninvited", "--timeout=60s")
    assert "cuInit: error 100" in gpu_node.node.kubectl("logs", "uninvited"), "the driver finds no device"
    gpu_node.remove("uninvited")


def test_pod_has_a_card_for_itself_when_cards_are_not_shared(gpu_node: GpuNode) -> None:
    settings = plugin_settings(1)
    assert settings == {}, "the plugin has its own"
    gpu_node.run_plugin(settings)
    gpu_node.await_allocatable({GPU_RESOURCE: gpu_node.cards.count, SHARED_GPU_RESOURCE: 0})
    names = [f"whole-{number}" for number in range(gpu_node.cards.count)]
    gpu_node.node.apply(*(server_pod(name, GPU_RESOURCE) for name in names))
    assert len({gpu_node.card_of(name) for name in names}) == gpu_node.cards.count
    gpu_node.node.apply(server_pod("whole-late", GPU_RESOURCE))
    assert f"Insufficient {GPU_RESOURCE}" in gpu_node.why_waiting("whole-late")
    gpu_node.remove(*names, "whole-late")


def test_card_is_known_by_one_word_and_by_the_slices_that_it_has(gpu_node: GpuNode) -> None:
    if not gpu_node.cards.real:
        pytest.skip("this machine has no NVIDIA card: there is none to ask")
    words = [word for word in GPU_CARDS.values() if re.search(rf"\b{word}\b", product().lower())]
    if words == []:
        pytest.skip(f"{product()} is no card of the families that the platform knows")
    (word,) = words
    assert re.search(pattern_of_claim(word), product().lower())
    known = MIG_SLICES.get(word, {})
    assert {profile: most for profile, most in slices().items() if profile in known} == known


def pattern_of_claim(accelerator: str) -> str:
    """Return what the product's name must match, in small letters, of a card that a model server claims."""
    wanted = Resources(cpu_millis=10, memory_mib=64, memory_limit_mib=128, gpus=1)
    graph = declare_one(ModelServer, server_resources=wanted, accelerator=accelerator, claims=True)
    (template,) = graph.of_kind("ResourceClaimTemplate")
    (request,) = template.manifest["spec"]["spec"]["devices"]["requests"]
    (selector,) = request["exactly"]["selectors"]
    (found,) = re.findall(r"productName\.lowerAscii\(\)\.matches\(r'(.*)'\)", selector["cel"]["expression"])
    return found
