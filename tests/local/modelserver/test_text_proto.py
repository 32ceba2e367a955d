"""The server's configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.modelserver.status import StatusError
from local.modelserver.text_proto import (
    DEFAULT_METRICS_PATH,
    VersionPolicy,
    read_metrics_path,
    read_model_configs,
)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_models_are_read_with_policies_and_labels_when_the_file_is_right(tmp_path: Path) -> None:
    path = write(
        tmp_path / "models.config",
        """model_config_list {
          config {
            name: "a" base_path: "/models/a" model_platform: "tensorflow"
            model_version_policy { specific { versions: 1 versions: 2 } }
            version_labels { key: "stable" value: 1 }
          }
          config { name: "b" base_path: "/models/b" model_version_policy { latest { num_versions: 2 } } }
          config { name: "c" base_path: "/models/c" model_version_policy { all {} } }
          config { name: "d" base_path: "/models/d" }
        }""",
    )
    a, b, c, d = read_model_configs(path)
    assert (a.name, a.base_path, dict(a.labels)) == ("a", Path("/models/a"), {"stable": 1})
    assert a.policy.wanted(frozenset({1, 2, 3})) == {1, 2}
    assert b.policy.wanted(frozenset({1, 2, 3})) == {2, 3}
    assert c.policy.wanted(frozenset({1, 2, 3})) == {1, 2, 3}
    assert d.policy == VersionPolicy()
    assert d.policy.wanted(frozenset({1, 2, 3})) == {3}
    assert d.policy.wanted(frozenset()) == frozenset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list { config { nme: 'a' } }", "Invalid protobuf file"),
        ("", "only model_config_list is supported"),
        ("model_config_list { config { name: 'a' } }", "every model needs name and base_path"),
        (
            "model_config_list { config { name: 'a' base_path: '/a' model_platform: 'torch' } }",
            "allowed is 'tensorflow'",
        ),
        (
            "model_config_list { config { name: 'a' base_path: '/a' } config { name: 'a' base_path: '/b' } }",
            "Duplicate",
        ),
    ],
)
def test_model_file_is_refused_when_it_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StatusError, match=message):
        read_model_configs(write(tmp_path / "models.config", text))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
        ('prometheus_config: {\n enable: true,\n path: "/m"; }\n', "/m"),
        ("prometheus_config { enable: true }", DEFAULT_METRICS_PATH),
        ('prometheus_config { enable: false path: "/metrics" }', None),
        ("prometheus_config {}", None),
        ("", None),
    ],
)
def test_metrics_path_is_read_when_the_file_is_right(tmp_path: Path, text: str, path: str | None) -> None:
    assert read_metrics_path(write(tmp_path / "monitoring.config", text)) == path


@pytest.mark.parametrize(
    "text",
    [
        "prometheus { enable: true }",
        "prometheus_config { on: true }",
        "prometheus_config { enable: 7 }",
        "prometheus_config {",
    ],
)
def test_monitoring_file_is_refused_when_it_is_wrong(tmp_path: Path, text: str) -> None:
    with pytest.raises(StatusError, match="Invalid protobuf file"):
        read_metrics_path(write(tmp_path / "monitoring.config", text))


def test_missing_file_is_named_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match=r"Cannot read .*absent\.config"):
        read_model_configs(tmp_path / "absent.config")
