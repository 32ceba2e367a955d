"""What a person who runs `pulumi` sees when something goes wrong: real engine, real API server, stand-in as plugin.

There is no kubelet; where pods matter, the tests write their status as a kubelet would.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.local.provider.control_plane import ControlPlane
from tests.local.provider.programs import (
    SETTINGS_AND_WEB,
    WAITING_SERVICE,
    eventually,
    exists,
    names,
    ready_status,
    warn_about,
)
from tests.local.provider.project import Project


def test_the_preview_fails_with_the_field_when_a_custom_resource_is_misspelt(project: Project, namespace: str) -> None:
    project.program(f"""
    k8s.apiextensions.CustomResource("split", api_version="test.mlplatform.dev/v1", kind="Route",
        metadata={{"name": "split", "namespace": "{namespace}"}}, spec={{"httpp": []}}, opts=opts())
    """)

    assert "httpp" in project.fail("preview")


def test_the_reason_is_shown_and_up_continues_when_a_pod_cannot_start(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(SETTINGS_AND_WEB % {"namespace": namespace, "level": "1", "annotations": "{}"})
    engine = project.start("up", "--yes", "--skip-preview")
    pod = eventually(lambda: names(api_server, namespace, "pods")).pop()
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = {
        "name": "main",
        "state": {"waiting": waiting},
        "restartCount": 0,
        "ready": False,
        "image": "",
        "imageID": "",
    }
    warn_about(api_server, namespace, pod, "Failed to pull the image")
    api_server.patch(namespace, f"pod/{pod}", {"status": {"containerStatuses": [status]}}, status=True)

    printed, _ = engine.communicate(timeout=60)

    assert engine.returncode != 0
    assert f"event on Pod {namespace}/{pod}: Failed: Failed to pull the image" in printed
    assert f"Deployment {namespace}/web: pod {pod}, container main: ImagePullBackOff: no such image" in printed
    assert project.resources()["web"]["initErrors"]

    api_server.kubectl("-n", namespace, "delete", "pod", pod, "--force")
    engine = project.start("up", "--yes", "--skip-preview")
    successor = eventually(lambda: names(api_server, namespace, "pods") - {pod}).pop()
    api_server.patch(namespace, f"pod/{successor}", ready_status(), status=True)
    printed, _ = engine.communicate(timeout=60)
    assert engine.returncode == 0, printed
    assert "initErrors" not in project.resources()["web"]


def test_a_service_is_ready_when_it_has_an_endpoint(project: Project, api_server: ControlPlane, namespace: str) -> None:
    project.program(WAITING_SERVICE % namespace)
    engine = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: exists(api_server, f"/api/v1/namespaces/{namespace}/services/web"))
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "namespace": namespace, "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
    }
    api_server.client.apply(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/web-1", endpoints)

    printed, _ = engine.communicate(timeout=60)

    assert engine.returncode == 0, printed


def test_the_object_is_in_the_state_when_interrupted(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    project.program(WAITING_SERVICE % namespace)
    engine = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: exists(api_server, f"/api/v1/namespaces/{namespace}/services/web"))
    interrupted = time.monotonic()
    engine.send_signal(signal.SIGINT)

    printed, _ = engine.communicate(timeout=30)

    assert time.monotonic() - interrupted < 20
    assert engine.returncode != 0
    assert "cancelled before it was ready" in printed
    assert "web" in project.resources()
    project.run("destroy", "--yes", "--skip-preview")
    assert names(api_server, namespace, "services") == set()


def test_the_plugin_ends_and_the_next_run_continues_when_the_engine_is_killed(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/services/web"
    project.program(WAITING_SERVICE % namespace)
    engine = project.start("up", "--yes", "--skip-preview")
    eventually(lambda: exists(api_server, path))
    plugins = subprocess.run(
        ["pgrep", "-P", str(engine.pid), "-f", "local.provider"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert plugins

    engine.kill()
    engine.wait()

    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in plugins), seconds=10)
    with suppress(ProcessLookupError):
        os.killpg(engine.pid, signal.SIGKILL)  # what else it had started
    engine.communicate()
    project.run("cancel", "--yes")
    left_behind = api_server.get(path)
    assert "web" not in project.resources()

    project.program((WAITING_SERVICE % namespace).replace('"app": "web"', ""))
    project.up()

    assert api_server.get(path)["metadata"]["uid"] == left_behind["metadata"]["uid"]
    project.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    assert not project.deployment().get("pending_operations")


def test_a_foreign_object_survives_when_the_stack_wants_its_name(
    project: Project, api_server: ControlPlane, namespace: str
) -> None:
    api_server.kubectl("-n", namespace, "create", "configmap", "shared", "--from-literal=a=theirs")
    project.program(f"""
    metadata = {{"name": "shared", "namespace": "{namespace}"}}
    k8s.core.v1.ConfigMap("mine", metadata=metadata, data={{"a": "ours"}}, opts=opts())
    """)

    assert "exists already" in project.fail("up", "--yes", "--skip-preview")
    project.run("destroy", "--yes", "--skip-preview")

    assert api_server.get(f"/api/v1/namespaces/{namespace}/configmaps/shared")["data"] == {"a": "theirs"}
