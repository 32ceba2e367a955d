"""What sync tells Kubernetes, people, the controller and Prometheus."""

from __future__ import annotations

import json

import httpx
import pytest

from ml.serving.sync import Settings, SettingsError
from ml.serving.sync_status import SlotStatus, StatusBoard, answer, metrics_page, serve_status

SERVING = SlotStatus(
    model="m",
    alias="champion",
    phase="serving",
    ready=True,
    wanted_version=5,
    serving_version=5,
    registry_reachable=True,
)
LOADING = SlotStatus(model="m", alias="champion", phase="loading", ready=True, wanted_version=6, serving_version=5)
EMPTY = SlotStatus(model="m", alias="candidate-a", phase="empty")
NEEDED = {"MODEL_NAME": "m", "MODEL_ALIAS": "champion", "MLFLOW_TRACKING_URI": "http://tracking-server:5000"}


def test_probe_succeeds_when_a_version_answers() -> None:
    assert answer(SERVING, "/readyz")[0] == 200
    assert answer(LOADING, "/readyz")[0] == 200
    assert answer(EMPTY, "/readyz") == (503, "text/plain", "not ready: empty, wanted None, serving None\n")


def test_probe_for_a_version_succeeds_when_exactly_it_is_wanted_and_served() -> None:
    assert answer(SERVING, "/readyz?version=5")[0] == 200
    assert answer(SERVING, "/readyz?version=4")[0] == 503
    assert answer(LOADING, "/readyz?version=6")[0] == 503
    assert answer(LOADING, "/readyz?version=5")[0] == 503
    assert answer(SERVING, "/readyz?version=five")[0] == 400


def test_status_is_complete_when_it_is_read_as_json() -> None:
    code, content_type, body = answer(LOADING, "/status")
    assert (code, content_type) == (200, "application/json")
    assert SlotStatus(**json.loads(body)) == LOADING


def test_series_tell_phase_and_versions_when_prometheus_reads() -> None:
    lines = metrics_page(LOADING).splitlines()
    assert 'mlplatform_sync_ready{model="m",alias="champion"} 1' in lines
    assert 'mlplatform_sync_wanted_version{model="m",alias="champion"} 6' in lines
    assert 'mlplatform_sync_serving_version{model="m",alias="champion"} 5' in lines
    assert 'mlplatform_sync_phase{model="m",alias="champion",phase="loading"} 1' in lines
    assert 'mlplatform_sync_phase{model="m",alias="champion",phase="serving"} 0' in lines
    assert 'mlplatform_sync_serving_version{model="m",alias="candidate-a"} 0' in metrics_page(EMPTY)


def test_latest_status_is_served_when_it_changes() -> None:
    board = StatusBoard(EMPTY)
    server = serve_status(board, 0)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert httpx.get(f"{url}/readyz").status_code == 503
        board.publish(SERVING)
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert httpx.get(f"{url}/other").status_code == 404
    finally:
        server.shutdown()


def test_settings_have_the_contracts_defaults_when_only_the_needed_is_given() -> None:
    settings = Settings.from_environment(NEEDED)
    assert (settings.model, settings.alias, settings.port) == ("m", "champion", 8502)
    assert str(settings.base_path) == "/models"
    assert settings.server_url == "http://127.0.0.1:8501"
    assert settings.interval_seconds == 10.0


def test_every_problem_is_named_when_the_environment_is_wrong() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment(
            {
                "MODEL_NAME": "../m",
                "MLFLOW_TRACKING_URI": "tracking-server:5000",
                "SYNC_INTERVAL_SECONDS": "soon",
                "SYNC_PORT": "99999",
            }
        )
    for part in (
        "MODEL_ALIAS is not set",
        "MODEL_NAME='../m': allowed are letters, digits, hyphens and underscores",
        "SYNC_INTERVAL_SECONDS='soon': allowed is a number from 0.05 to 3600",
        "SYNC_PORT='99999': allowed is a number from 0 to 65535",
        "MLFLOW_TRACKING_URI='tracking-server:5000': allowed is an http:// or https:// address",
    ):
        assert part in str(refused.value)
