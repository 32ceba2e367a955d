"""`mlp status` over the objects and answers of a cluster."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from typer.testing import CliRunner

from ml.cli.app import app
from ml.contracts import MODEL_LABEL, SLOT_LABEL
from ml.serving.sync_status import SlotStatus, answer
from tests.unit.cli.platform import FakePlatform

MODEL = "content_quality_model"
KUBE_MODEL = "content-quality-model"
SERVING = SlotStatus(
    model=MODEL,
    alias="champion",
    phase="serving",
    ready=True,
    wanted_version=3,
    serving_version=3,
    registry_reachable=True,
)


def deployment(name: str, ready: int) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "research"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {"readyReplicas": ready},
    }


def slot_pod(slot: str, *, ready: bool) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": f"{slot}-1", "labels": {MODEL_LABEL: KUBE_MODEL, SLOT_LABEL: slot}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def split(stable: int, candidate: int) -> dict[str, Any]:
    route = [
        {"destination": {"subset": "stable"}, "weight": stable},
        {"destination": {"subset": "candidate-a"}, "weight": candidate},
    ]
    return {
        "kind": "VirtualService",
        "metadata": {"name": f"{KUBE_MODEL}-split"},
        "spec": {"http": [{"name": "split", "route": route}]},
    }


def fill(platform: FakePlatform, *, splits: list[dict[str, Any]], sync: SlotStatus | None = None) -> None:
    """Let the platform run: all components, a served champion, no candidate."""
    pods = [slot_pod("stable", ready=True), slot_pod("candidate-a", ready=False)]
    own = [deployment("tracking-server", 1), deployment(f"{KUBE_MODEL}-stable", 1), *pods]
    platform.objects("research", "deployments,statefulsets,pods,jobs", items=own)
    gateway = deployment("istio-ingressgateway", 1)
    platform.objects("istio-system", "deployments,statefulsets,pods,jobs", items=[gateway])
    platform.objects("research", "virtualservices.networking.istio.io", items=splits)
    code, _, text = answer(sync or SERVING, "/status")
    platform.web.answers[("GET", "localhost", "/status")] = (code, json.loads(text))
    platform.tunnel("pod/stable-1", 8502)


def status(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", *arguments])
    return result.exit_code, result.stdout


def data(platform: FakePlatform) -> dict[str, Any]:
    code, text = status("--json")
    assert code == 0
    return json.loads(text)


def test_platform_is_ready_when_only_an_empty_candidate_waits(platform: FakePlatform) -> None:
    fill(platform, splits=[split(100, 0)])
    found = data(platform)
    assert found["ready"] is True
    assert [it["name"] for it in found["components"]] == ["tracking-server", "istio-ingressgateway"]
    stable, candidate = found["slots"]
    assert (stable["alias"], stable["wanted_version"], stable["served_version"]) == ("champion", "3", "3")
    assert (stable["state"], stable["ready"], stable["error"]) == ("serving", True, "")
    assert (candidate["alias"], candidate["ready"]) == ("candidate-a", False)
    assert found["weights"] == {MODEL: {"stable": 100, "candidate-a": 0}}


def test_platform_is_not_ready_when_a_slot_with_traffic_is_not(platform: FakePlatform) -> None:
    fill(platform, splits=[split(90, 10)])
    assert data(platform)["ready"] is False


def test_platform_is_not_ready_and_says_why_when_there_is_no_split(platform: FakePlatform) -> None:
    fill(platform, splits=[])
    code, text = status()
    assert code == 0
    assert f"{MODEL}: there is no split" in text
    assert text.rstrip().endswith("not ready")


def test_error_of_the_sync_is_shown_when_a_version_does_not_load(platform: FakePlatform) -> None:
    failed = dataclasses.replace(SERVING, phase="failed", wanted_version=4, error="bad graph")
    fill(platform, splits=[split(100, 0)], sync=failed)
    code, text = status()
    assert code == 0
    assert f"{MODEL} stable: bad graph" in text
    assert data(platform)["slots"][0]["served_version"] == "3"


def test_crashing_server_is_named_when_the_sync_itself_is_well(platform: FakePlatform) -> None:
    fill(platform, splits=[split(100, 0)], sync=dataclasses.replace(SERVING, phase="empty", ready=False))
    crashing = slot_pod("stable", ready=False)
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    crashing["status"]["containerStatuses"] = [
        {"name": "server", "restartCount": 4, "state": waiting, "lastState": last}
    ]
    platform.objects("research", "deployments,statefulsets,pods,jobs", items=[crashing])
    (stable, _) = data(platform)["slots"]
    assert stable["error"] == "server: CrashLoopBackOff: last exit code 1 (Error)"
    assert stable["restarts"] == 4
    _, text = status()
    assert f"{MODEL} stable: no version has the alias champion; `mlp train` makes the first" in text


def test_slot_is_shown_without_pod_when_it_has_none(platform: FakePlatform) -> None:
    fill(platform, splits=[split(100, 0)])
    platform.objects("research", "deployments,statefulsets,pods,jobs", items=[])
    assert [it["state"] for it in data(platform)["slots"]] == ["no pod", "no pod"]


def test_slot_says_so_when_its_registry_does_not_answer(platform: FakePlatform) -> None:
    fill(platform, splits=[split(100, 0)], sync=dataclasses.replace(SERVING, registry_reachable=False))
    found = data(platform)
    assert found["ready"] is True
    assert found["slots"][0]["error"] == "the registry does not answer"
