"""What changes in a stack when teams share it, and that nothing does when they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from policies import sources
from policies._model import Verdict
from policies.configuration import load
from policies.engine import evaluate
from policies.render.__main__ import lines
from tests.support import pods, schemas
from tests.support.recording_monitor import Graph
from tests.support.stacks import PIPELINES_WITH_PAGE, STACKS, TEAMS, TEAMS_IN_CLOUD, StackUnderTest

BOTH = {"shared cluster": TEAMS, "cloud": TEAMS_IN_CLOUD}


@pytest.fixture(scope="module", params=sorted(BOTH))
def stack(request: pytest.FixtureRequest) -> StackUnderTest:
    return BOTH[request.param]


@pytest.fixture(scope="module")
def graph(stack: StackUnderTest) -> Graph:
    return stack.run()


@pytest.fixture(scope="module")
def shared() -> Graph:
    return TEAMS.run()


def with_teams(stack: StackUnderTest, teams: Sequence[object]) -> StackUnderTest:
    return replace(stack, added={**stack.added, "teams": teams})


def names(graph: Graph) -> set[tuple[str, str]]:
    return {(item.type, item.name) for item in graph.resources.values()}


def test_only_what_is_named_after_a_team_comes_when_there_are_teams(stack: StackUnderTest, graph: Graph) -> None:
    before = names(with_teams(stack, []).run())
    assert not before - names(graph)
    added = {name for _, name in names(graph) - before}
    finder = "prometheus-finds-team-registry"
    assert all("team-vision" in name or "team-text-quality" in name or name == finder for name in added), added
    assert finder in added


def test_cost_is_the_same_for_every_team_when_there_are_more() -> None:
    def count(number: int) -> int:
        teams = [{"name": f"team{i}", "groups": [f"g{i}"], "costCenter": "1"} for i in range(number)]
        return len(with_teams(TEAMS, teams).run().resources)

    none, one, four = count(0), count(1), count(4)
    of_all = 1  # the name by which Prometheus finds all proxies
    assert four - none - of_all == 4 * (one - none - of_all)


def test_policies_refuse_nothing_when_there_are_teams(stack: StackUnderTest) -> None:
    resources = sources.from_lines("\n".join(lines(stack.run(preview=True))))
    report = evaluate(resources, load(datetime.now(UTC).date()), stack.name)
    assert [(item.rule.id, item.finding.resource.title) for item in report.judged if item.refuses] == []
    assert report.of(Verdict.UNKNOWN) == ()


@pytest.mark.parametrize("version", schemas.KUBERNETES_VERSIONS)
def test_objects_of_teams_fit_the_schema_when_checked(graph: Graph, version: str) -> None:
    found = [item.manifest for item in graph.kubernetes_objects() if "team" in item.name]
    assert len(found) > 30
    for manifest in found:
        schemas.check_kubernetes(manifest, version)


def test_nothing_waits_for_more_than_its_data_when_there_are_teams(graph: Graph) -> None:
    for item in graph.resources.values():
        if "team-" in item.name:
            by_data = {urn for urns in item.property_dependencies.values() for urn in urns}
            assert len(set(item.depends_on) - by_data) == 0, item.name


def test_outputs_say_where_a_teams_things_are_when_exported(shared: Graph) -> None:
    assert shared.stack_outputs["teams"] == {
        "vision": {
            "namespace": "team-vision",
            "trackingUrl": "http://team-vision-registry.free-deep-research:5001",
            "workspace": "vision",
            "objects": {"bucket": "team-vision", "secret": "object-store"},
        },
        "text-quality": {
            "namespace": "quality",
            "trackingUrl": "http://team-text-quality-registry.free-deep-research:5001",
            "workspace": "text-quality",
            "objects": {"bucket": "team-text-quality", "secret": "object-store"},
        },
    }


def test_outputs_name_folder_and_account_when_the_store_is_the_clouds() -> None:
    assert TEAMS_IN_CLOUD.run().stack_outputs["teams"]["vision"]["objects"] == {
        "folder": "teams/vision/",
        "serviceAccount": "team-vision",
    }


def test_registry_keeps_workspaces_apart_when_there_are_teams_only(shared: Graph) -> None:
    def environment(graph: Graph) -> dict[str, object]:
        return pods.env_of(pods.containers_of(graph.object("Deployment", "tracking-server"))["server"])

    assert environment(shared)["MLFLOW_ENABLE_WORKSPACES"] == "true"
    assert "MLFLOW_ENABLE_WORKSPACES" not in environment(STACKS["dev"].run())


def test_nobody_from_outside_names_a_workspace_when_there_are_teams(shared: Graph) -> None:
    def http(graph: Graph) -> dict[str, Any]:
        (rule,) = graph.object("VirtualService", "platform-gateway-mlflow").manifest["spec"]["http"]
        return rule

    schemas.check_custom(shared.object("VirtualService", "platform-gateway-mlflow").manifest)
    assert http(shared)["headers"]["request"] == {
        "remove": ["x-mlflow-workspace", "x-mlflow_workspace", "x_mlflow-workspace", "x_mlflow_workspace"]
    }
    assert "request" not in http(PIPELINES_WITH_PAGE.run())["headers"]


def test_prometheus_reads_every_proxy_when_there_are_teams(shared: Graph) -> None:
    (config,) = [item for item in shared.of_kind("ConfigMap") if item.name == "prometheus-config"]
    jobs = {
        job["job_name"]: job for job in yaml.safe_load(config.manifest["data"]["prometheus.yaml"])["scrape_configs"]
    }
    (query,) = jobs["team-registry"]["dns_sd_configs"]
    assert query["port"] == 5001
    finder = shared.object("Service", query["names"][0].partition(".")[0]).manifest["spec"]
    found = [
        item.object_name
        for item in pods.workloads(shared)
        if finder["selector"].items() <= pods.template_of(item)["metadata"]["labels"].items()
    ]
    assert sorted(found) == ["team-text-quality-registry", "team-vision-registry"]
    for name in ("prometheus-scrapes", "prometheus-scraped"):
        spec = shared.object("NetworkPolicy", name).manifest["spec"]
        (rule,) = spec.get("ingress") or spec["egress"]
        assert 5001 in {port["port"] for port in rule["ports"]}
