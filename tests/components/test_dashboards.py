"""The dashboards: committed as they are built, and every query of theirs accepted by Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components._dashboards.__main__ import FOLDER, render
from components.monitoring import Monitoring
from tests.support.catalogue import declare_one
from tests.support.prometheus import binaries

DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in render().items()}
QUERIES = [
    (name, panel["title"], target["expr"])
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]


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
