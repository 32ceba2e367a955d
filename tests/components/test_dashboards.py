"""The dashboards: committed as they are built, and every query of theirs accepted by Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import _alerts, _scaling
from components._dashboards.__main__ import FOLDER, render
from components._scaling import Measure, Scaler
from components.monitoring import Monitoring
from ml.api import operations
from tests.support import own_metrics
from tests.support.catalogue import declare_one
from tests.support.prometheus import binaries
from tests.support.promql import labels_by_series
from tests.support.stacks import ROOT

DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in render().items()}
QUERIES = [
    (name, panel["title"], target["expr"])
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
_QUERIES = {
    "requests": _scaling.request_rate('mlplatform_api_requests_total{job="api"}', "api", 60),
    "in_flight": _scaling.in_flight("some_model", "stable", 60),
}
_SCALER = Scaler(
    name="some-model-stable",
    minimum=1,
    maximum=4,
    cpu_percent=80,
    measures=tuple(Measure(name=name, query=query, target=1) for name, query in _QUERIES.items()),
)
RULES = [
    (group["name"], rule.get("alert") or rule["record"], rule["expr"])
    for group in _alerts.rule_groups("envoy", 5, [_SCALER], database_servers=3)["groups"]
    for rule in group["rules"]
]
ADDED_BY_PROMETHEUS = frozenset({"job", "instance"})


def test_committed_files_are_what_the_code_builds_when_compared() -> None:
    committed = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}
    assert committed == render(), "run `python -m components._dashboards` and commit what it writes"


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_every_panel_says_what_it_shows_when_read(name: str) -> None:
    board = DASHBOARDS[name]
    assert board["uid"] == name
    assert len(board["panels"]) >= 10
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    for panel in board["panels"]:
        assert panel["description"]
        assert panel["targets"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_panels_do_not_overlap_when_laid_out(name: str) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own


@pytest.mark.slow
def test_every_query_is_understood_when_prometheus_reads_it(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{index}", "expr": expr} for index, (_, _, expr) in enumerate(QUERIES)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}, width=1000))
    command = [str(binaries() / "promtool"), "check", "rules", "rules.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


def test_grafana_finds_the_dashboards_by_their_label_when_declared() -> None:
    found = {
        file: json.loads(text)["uid"]
        for item in declare_one(Monitoring).of_kind("ConfigMap")
        if item.manifest["metadata"]["labels"].get("grafana_dashboard") == "1"
        for file, text in item.manifest["data"].items()
    }
    assert found == {f"{name}.json": name for name in DASHBOARDS}


def test_building_is_not_needed_to_deploy_when_the_program_is_imported() -> None:
    sources = [file for file in FOLDER.parent.glob("*.py") if file.is_file()]
    importing = re.compile(r"^\s*(from|import)\s+(grafana_foundation_sdk|components\._dashboards)", re.MULTILINE)
    assert not [file.name for file in sources if importing.search(file.read_text(encoding="utf-8"))]


def misnamed(query: str, own: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what a query asks of series of ours that do not exist, or do not have such a label."""
    asked = labels_by_series(query)
    unknown = [word for word in re.findall(r"\bmlplatform_\w+", query) if word not in own]
    labels = [(name, label) for name, label in asked if name in own and label not in own[name] | ADDED_BY_PROMETHEUS]
    return sorted([*unknown, *(f"{name} has no {label}" for name, label in labels)])


@pytest.fixture(scope="module")
def own() -> Mapping[str, frozenset[str]]:
    return own_metrics.labels_by_series()


def test_every_label_exists_when_a_panel_or_rule_asks_for_one_of_our_own_metrics(
    own: Mapping[str, frozenset[str]],
) -> None:
    asked = [(place, name, query) for place, name, query in (*QUERIES, *RULES) if "mlplatform_" in query]
    assert len(asked) > 10
    wrong = {f"{place}: {name}": found for place, name, query in asked if (found := misnamed(query, own))}
    assert not wrong


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        (
            'sum by (route, le) (rate(mlplatform_api_request_seconds_bucket{route!~"/metrics|/healthz|/readyz"}[5m]))',
            ["mlplatform_api_request_seconds_bucket has no route"],
        ),
        ('mlplatform_controller_experiments{fase="Running"}', ["mlplatform_controller_experiments has no fase"]),
        ("sum(rate(mlplatform_api_outcomes_total[5m])) by (kind)", ["mlplatform_api_outcomes_total has no kind"]),
        ("sum without (kind) (mlplatform_controller_leader)", ["mlplatform_controller_leader has no kind"]),
        ("up * on (slot) mlplatform_controller_leader", ["mlplatform_controller_leader has no slot"]),
        ("sum(mlplatform_controller_leaders)", ["mlplatform_controller_leaders"]),
        ("sum by (scaler) (label_replace(mlplatform_controller_leader, 'a', '', 'b', ''))".replace("'", '"'),
         ["mlplatform_controller_leader has no b", "mlplatform_controller_leader has no scaler"]),
        ('sum by (x) (label_replace(mlplatform_controller_leader, "x", "$1", "job", "(.+)"))', []),
        ('sum by (slot) (up) / sum by (phase) (mlplatform_controller_experiments{job="controller"})', []),
    ],
)  # fmt: skip
def test_missing_label_is_found_when_a_query_groups_selects_or_joins_by_it(
    own: Mapping[str, frozenset[str]], query: str, wrong: list[str]
) -> None:
    assert misnamed(query, own) == wrong


def test_every_module_that_declares_metrics_is_asked_for_them_when_labels_are_compared() -> None:
    assert own_metrics.declaring(ROOT) == list(own_metrics.DECLARING)


def test_legend_names_labels_that_its_query_speaks_of_when_drawn() -> None:
    for name, board in DASHBOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
                assert named <= {label for _, label in labels_by_series(target["expr"])}, (name, panel["title"])


def test_api_panel_leaves_out_exactly_the_operations_that_are_not_for_clients_when_drawn() -> None:
    (query,) = [expr for _, title, expr in QUERIES if title == "API, 95th percentile"]
    (left_out,) = re.findall(r'operation!~"([^"]+)"', query)
    assert set(left_out.split("|")) == {getattr(route, "name", "") for route in operations.router.routes}
