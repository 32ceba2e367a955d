"""`mlp assign` over a registry whose answers are a table; that a slot follows is shown end to end."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ml.cli.app import app
from tests.unit.cli.platform import FakePlatform

API = "/api/2.0/mlflow"
SEARCH = f"{API}/model-versions/search?filter=name%3D%27content_quality_model%27&max_results=1000"
GET = f"{API}/registered-models/get?name=content_quality_model"
SET = f"{API}/registered-models/alias"


@pytest.fixture
def registry(platform: FakePlatform) -> FakePlatform:
    """A registry with ten versions, the second of which is the champion."""
    platform.tunnel("service/tracking-server", 5000)
    answer(platform, "GET", SEARCH, {"model_versions": [{"version": str(number)} for number in range(10, 0, -1)]})
    answer(platform, "GET", GET, {"registered_model": {"aliases": [{"alias": "champion", "version": "2"}]}})
    answer(platform, "POST", SET, {})
    return platform


def answer(platform: FakePlatform, method: str, path: str, body: Any, status: int = 200) -> None:
    platform.web.answers[(method, "tracking-server", path)] = (status, body)


def assign(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["assign", *arguments])


def written(platform: FakePlatform) -> list[str]:
    return [path for method, path, _ in platform.web.requests if method != "GET"]


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        ("stable", "content_quality_model/stable: version 10, it was 2 (alias champion)"),
        ("candidate-a", "content_quality_model/candidate-a: version 10, it had none (alias candidate-a)"),
    ],
)
def test_alias_of_the_slot_is_moved_when_the_version_exists(registry: FakePlatform, slot: str, expected: str) -> None:
    result = assign(f"content-quality-model/{slot}", "10")
    assert result.exit_code == 0, result.output
    assert expected in result.stdout
    assert written(registry) == [SET]


@pytest.mark.parametrize(
    ("target", "version", "expected"),
    [
        ("content_quality_model/stable", "11", "VERSION='11': allowed is one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        ("content_quality_model/stable", "latest", "VERSION='latest': allowed is one of 1, 2,"),
        ("content_quality_model", "1", "MODEL/SLOT='content_quality_model': allowed is a model and one of its slots"),
        ("content_quality_model/other", "1", "choose one of: stable, candidate-a"),
        ("other/stable", "1", "choose one of: content_quality_model"),
    ],
)
def test_nothing_is_moved_when_something_does_not_exist(
    registry: FakePlatform, target: str, version: str, expected: str
) -> None:
    result = assign(target, version)
    assert result.exit_code == 1
    assert expected in result.stderr
    assert written(registry) == []


def test_training_is_named_when_the_model_has_no_version(registry: FakePlatform) -> None:
    answer(registry, "GET", SEARCH, {})
    result = assign("content_quality_model/stable", "1")
    assert result.exit_code == 1
    assert "allowed is none, content_quality_model has no version yet\nremedy: `mlp train`" in result.stderr


def test_refusal_of_the_registry_is_shown_when_it_refuses(registry: FakePlatform) -> None:
    answer(registry, "POST", SET, {"message": "Permission denied"}, status=403)
    result = assign("content_quality_model/stable", "1")
    assert result.exit_code == 1
    assert "403" in result.stderr
    assert "Permission denied" in result.stderr
