"""The steps from a bare machine to an answered prediction, each of which may be repeated at any time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from local import images, mesh, node, paths, toolchain
from local.lifecycle import diagnosis, engines, services
from local.lifecycle.instance import Instance
from local.lifecycle.stack import Stack, expected_prerequisites
from local.node.layout import Layout
from local.progress import Progress, heartbeat
from local.toolchain.facts import taken_ports

_MESH_READY_SECONDS = 120
_REMAINS_SECONDS = 15
_SLOTS_READY_SECONDS = 180
SERVICES_READY_SECONDS = 180

STACK_IMAGES = (
    "postgres",
    "postgres-exporter",
    "minio",
    "minio-client",
    "mlflow",
    "ml",
    "training",
    "model-server",
    "prometheus",
)
"""Images that the stack's pods run; the other images belong to the node and the mesh."""


class StepError(Exception):
    """A step did not reach its goal; the message says which and what it waited for."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A running node with everything that the stack needs below it."""

    instance: Instance
    tools: toolchain.Toolchain
    node: node.NodeHandle
    stack: Stack


def up(instance: Instance, progress: Progress) -> Platform:
    """Bring the platform up, or continue where an earlier attempt stopped.

    Raises:
        toolchain.PreflightError: the machine lacks something; nothing has been changed.
        StepError, StackError: a step failed; run again after the repair.
    """
    platform = prepare(instance, progress)
    restart_stuck(platform, progress)
    with heartbeat(progress, "deploying the stack (pulumi up)"):
        platform.stack.up()
    _wait_for_services(platform, progress)
    _train_first_models(platform, progress)
    _wait_for_slots(platform, progress)
    progress("the platform is up")
    return platform


def prepare(instance: Instance, progress: Progress) -> Platform:
    """Do everything that comes before the stack: tools, images, node, mesh, project folder."""
    ports = ports_to_take(instance)
    if instance.node_dir.exists():
        _wait_until_free(ports.values())
    brought = [name for name in expected_prerequisites() if name in node.PREREQUISITES]
    toolchain.preflight(_tools(brought), ports, images_follow=True)
    tools = toolchain.ensure(progress=progress)
    references = images.ensure(tools, progress, before_making=toolchain.require_for_images)
    instance.create_files()
    config = node.NodeConfig(
        name=instance.name,
        state_dir=instance.node_dir,
        api_port=instance.api_port,
        gateway_port=instance.gateway_port,
        pause_image=references["pause"],
    )
    images.plant(Layout(instance.node_dir).containerd, references, tools, progress)
    handle = node.start(config, tools, progress)
    images.load(handle, references, progress)
    node.install_addons(handle, references, progress)
    platform = _platform(instance, tools, handle)
    _install_mesh(platform, references, progress)
    for name in brought:
        bring(platform, name, progress)
    platform.stack.prepare({name: references[name] for name in STACK_IMAGES})
    return platform


def ports_to_take(instance: Instance) -> dict[str, int]:
    """Return variable -> port of those ports on which the instance does not answer yet, but is about to."""
    if not node.is_running(instance.node_dir):
        return instance.ports
    try:
        config = node.attach(instance.node_dir).config
    except node.NodeError:  # nobody knows any more with which it was started
        return {}
    return {name: port for name, port in instance.ports.items() if port not in (config.api_port, config.gateway_port)}


def bring(platform: Platform, name: str, progress: Progress) -> None:
    """Give a running platform's node one of `node.PREREQUISITES`; built first, where nobody has had it before.

    Raises:
        node.NodeError, images.ImageError, toolchain.ToolchainError: it could not be built or does not start.
    """
    tools = toolchain.ensure(_tools([name]), progress)
    references = images.ensure(
        tools, progress, [node.PREREQUISITES[name].image], before_making=toolchain.require_for_images
    )
    images.load(platform.node, references, progress)
    node.install_prerequisite(platform.node, name, references, tools, progress)


def _tools(prerequisites: Sequence[str]) -> list[str]:
    """Return the names of the tools for a cluster that has these, too."""
    return [*toolchain.CLUSTER_TOOLS, *(node.PREREQUISITES[name].tool for name in prerequisites)]


def _wait_until_free(ports: Collection[int]) -> None:
    """Give the kernel time to end what a node that was just killed has left; who else has a port is told later."""
    deadline = time.monotonic() + _REMAINS_SECONDS
    while taken_ports(ports) and time.monotonic() < deadline:
        time.sleep(0.2)


def existing(instance: Instance, progress: Progress) -> Platform:
    """Return the platform that is already running, to act on its stack.

    Raises:
        StepError: it is not running.
    """
    if not node.status(instance.name, instance.node_dir).running:
        raise StepError(f"the platform `{instance.name}` is not running: run `make up`")
    return _platform(instance, toolchain.ensure(progress=progress), node.attach(instance.node_dir))


def run_in_node(platform: Platform, command: Sequence[str]) -> str:
    """Run a command where the node's addresses are reachable; return what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    return platform.node.run(command).stdout


def stop(instance: Instance, progress: Progress) -> None:
    """End every process of the platform; its data stays."""
    progress(f"stopping `{instance.name}`")
    engines.end(instance)
    node.stop(instance.name, instance.node_dir)


def down(instance: Instance, progress: Progress) -> None:
    """Remove the platform and everything that it wrote; tools and images stay in the cache."""
    progress(f"removing `{instance.name}` and its data")
    engines.end(instance, patience_seconds=0)
    node.destroy(instance.name, instance.node_dir)
    if instance.state_dir.exists():
        shutil.rmtree(instance.state_dir)


def diagnose(instance: Instance) -> list[str]:
    """Return lines that say which pods are sick and why; empty if there are none or no API answers."""
    kubeconfig = Layout(instance.node_dir).host_kubeconfig
    if not kubeconfig.exists():
        return []
    return diagnosis.report(
        {
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(instance.state_dir / "kubectl-cache"),
            "PATH": toolchain.ensure(["kubernetes"]).path_env(),
        }
    )


def _platform(instance: Instance, tools: toolchain.Toolchain, handle: node.NodeHandle) -> Platform:
    stack = Stack(instance=instance, tools=tools, kubeconfig=handle.kubeconfig)
    return Platform(instance=instance, tools=tools, node=handle, stack=stack)


def _install_mesh(platform: Platform, references: Mapping[str, str], progress: Progress) -> None:
    progress("installing the mesh (istiod, gateway)")
    _kubectl(platform, "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=mesh.render(references))
    for deployment in ("istiod", "istio-ingressgateway"):
        with heartbeat(progress, f"waiting for {deployment}"):
            _wait_available(platform, "istio-system", deployment, _MESH_READY_SECONDS)


def restart_stuck(platform: Platform, progress: Progress) -> None:
    """Make anew what has failed before, so that a repair shows at once and not when Kubernetes tries again."""
    found = json.loads(_kubectl(platform, "get", "pods,jobs", "--all-namespaces", "--output=json"))["items"]
    for item in services.stuck(found):
        kind, metadata = item["kind"].lower(), item["metadata"]
        progress(f"starting {kind} {metadata['name']} again, which has failed before")
        _kubectl(platform, "delete", kind, metadata["name"], "-n", metadata["namespace"], "--ignore-not-found")


def _wait_for_services(platform: Platform, progress: Progress) -> None:
    """Wait for what models are trained with: the engine has waited only for what it changed."""
    outputs = platform.stack.outputs()
    deadline = time.monotonic() + SERVICES_READY_SECONDS
    for workload in services.workloads(outputs):
        with heartbeat(progress, f"waiting for {workload}"):
            remaining = max(1, int(deadline - time.monotonic()))
            _kubectl(platform, "rollout", "status", "-n", outputs["namespace"], workload, f"--timeout={remaining}s")


def _train_first_models(platform: Platform, progress: Progress) -> None:
    with heartbeat(progress, "training and registering the models that have no champion yet"):
        _mlp(platform, "train", failure="the training did not succeed")


def _wait_for_slots(platform: Platform, progress: Progress) -> None:
    outputs = platform.stack.outputs()
    namespace = outputs["namespace"]
    stable = [model["slots"]["stable"]["deployment"] for model in outputs["models"].values()]
    deadline = time.monotonic() + _SLOTS_READY_SECONDS
    with heartbeat(progress, "waiting until the champions are served"):
        for deployment in stable:
            remaining = max(1, int(deadline - time.monotonic()))
            _kubectl(
                platform,
                "rollout",
                "status",
                "-n",
                namespace,
                f"deployment/{deployment}",
                f"--timeout={remaining}s",
            )


def _wait_available(platform: Platform, namespace: str, deployment: str, timeout_seconds: int) -> None:
    # Not `rollout status`: that gives up at once where an earlier attempt had exceeded its deadline.
    timeout = f"--timeout={timeout_seconds}s"
    _kubectl(platform, "wait", "--for=condition=Available", "-n", namespace, f"deployment/{deployment}", timeout)


def _kubectl(platform: Platform, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *arguments],
        env={**os.environ, **platform.stack.environment},
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepError(f"kubectl {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _mlp(platform: Platform, *arguments: str, failure: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ml.cli", *arguments],
        env={**os.environ, "MLP_INSTANCE": platform.instance.name},
        cwd=paths.repo_root(),
        check=False,
    )
    if done.returncode != 0:
        raise StepError(f"{failure} (mlp {' '.join(arguments)} ended with exit code {done.returncode})")
