"""How kubectl's failures reach a person, and that none of its processes outlives a command."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ml.cli.connection import connect
from ml.cli.errors import NotFoundError, UserError
from ml.cli.kubectl import Kubectl
from ml.cli.tools import run_tool
from tests.unit.cli.platform import FakePlatform

WAIT_SECONDS = 30


@pytest.fixture
def kubectl(platform: FakePlatform) -> Kubectl:
    return Kubectl(connect("local", None, os.environ, platform.folder))


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_tunnel_is_gone_when_its_block_ends(platform: FakePlatform, kubectl: Kubectl) -> None:
    platform.tunnel("pod/a", 8502)

    async def use() -> None:
        async with kubectl.forward("research", "pod/a", 8502) as port:
            assert port == platform.web.port
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(use())
    (call,) = platform.calls("kubectl")
    assert is_gone(call["pid"])


def test_error_repeats_kubectl_s_words_when_there_is_nothing_to_forward_to(
    platform: FakePlatform, kubectl: Kubectl
) -> None:
    platform.rule("kubectl", "port-forward", stderr="error: unable to forward port: pod is Pending\n", exit_code=1)

    async def use() -> None:
        async with kubectl.forward("research", "pod/a", 8502):
            pytest.fail("there is no tunnel")

    with pytest.raises(UserError, match="no connection to pod/a: error: unable to forward port: pod is Pending"):
        asyncio.run(use())


def test_missing_object_is_its_own_error_when_the_cluster_says_so(kubectl: Kubectl) -> None:
    with pytest.raises(NotFoundError):
        asyncio.run(kubectl.get("research", "deployment", "none"))


def test_secret_is_decoded_when_read(platform: FakePlatform, kubectl: Kubectl) -> None:
    platform.secret("it", username="ada", password="pass word")
    assert asyncio.run(kubectl.secret("research", "it")) == {"username": "ada", "password": "pass word"}


def test_tool_is_killed_when_its_time_is_up(platform: FakePlatform, kubectl: Kubectl) -> None:
    platform.rule("kubectl", "get", delay_seconds=60)
    with pytest.raises(UserError, match="gave no answer within 2 s"):
        asyncio.run(run_tool(["kubectl", "get", "x"], environment=kubectl.environment, timeout_seconds=2))
    assert is_gone(platform.calls("kubectl")[0]["pid"])


@pytest.mark.parametrize("steps", range(12))
def test_nothing_is_left_open_when_a_tool_is_cut_off_while_it_starts(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After so many steps of the event loop, of which starting a process takes several."""
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    platform.rule("kubectl", "get", delay_seconds=60)

    async def cut_off() -> None:
        task = asyncio.ensure_future(run_tool(["kubectl", "get"], environment=os.environ, timeout_seconds=5))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut_off())
    gc.collect()
    assert complaints == []
    assert all(is_gone(call["pid"]) for call in platform.calls("kubectl"))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_command_ends_at_once_and_leaves_no_process_when_told_to_stop(
    platform: FakePlatform, stop: signal.Signals
) -> None:
    platform.rule("kubectl", "get", delay_seconds=60)
    process = subprocess.Popen([sys.executable, "-m", "ml.cli", "status"], stderr=subprocess.PIPE, text=True)
    assert eventually(lambda: bool(platform.calls("kubectl")))
    process.send_signal(stop)
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert all(is_gone(call["pid"]) for call in platform.calls("kubectl"))


def test_no_tunnel_stays_when_the_command_is_killed(platform: FakePlatform) -> None:
    platform.tunnel("deployment/content-quality-model-stable", 8501)
    platform.rule("kubectl", "get", delay_seconds=60)
    code = (
        "import asyncio, os, pathlib\n"
        "from ml.cli.connection import connect\n"
        "from ml.cli.kubectl import Kubectl\n"
        "async def use():\n"
        "    kubectl = Kubectl(connect('local', None, os.environ, pathlib.Path.cwd()))\n"
        "    async with kubectl.forward('research', 'deployment/content-quality-model-stable', 8501):\n"
        "        print('open', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(use())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.kill()
    process.communicate()
    (call,) = platform.calls("kubectl")
    assert eventually(lambda: is_gone(call["pid"]))
