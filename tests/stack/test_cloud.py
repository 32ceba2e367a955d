"""What the stacks on AWS promise as a whole, by name. What this does not prove: that AWS accepts any of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import pytest

from tests.support import pods
from tests.support.cloud_resources import ACCOUNT
from tests.support.recording_monitor import Graph, Recorded, Unknown, reveal
from tests.support.stacks import ROOT, STACKS

DATABASE_KINDS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:rds/instance:Instance",
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:sns/topic:Topic",
    "aws:sns/topicSubscription:TopicSubscription",
    "mlplatform:index:DatabaseAlarms",
    "mlplatform:index:ManagedMetadataDb",
    "mlplatform:index:MetadataDbRds",
}
"""What a stack has only where AWS runs its database."""
DATABASE_OBJECTS = defaultdict(
    set[str],
    {"StatefulSet": {"metadata-db"}, "Service": {"metadata-db"}, "NetworkPolicy": {"metadata-db-offer"}},
)
"""What a stack has only where its database is a pod, by kind."""


def test_staging_has_the_structure_of_prod_when_deployed(staging: Graph, prod: Graph) -> None:
    def kinds(graph: Graph) -> set[str]:
        return {item.type for item in graph.resources.values()}

    # Only prod pays for a database server of AWS; staging keeps a pod, and so the cloud's two ways are both run.
    assert kinds(prod) - kinds(staging) == DATABASE_KINDS
    assert kinds(staging) - kinds(prod) == {"mlplatform:index:MetadataDb"}


def test_platform_is_the_same_in_the_cloud_but_for_its_stores_when_deployed(prod: Graph) -> None:
    def objects(graph: Graph) -> set[tuple[str, str]]:
        return {(item.kind, item.name) for item in graph.kubernetes_objects()}

    # No pipeline service: it needs a key of the store.
    dev = objects(replace(STACKS["dev"], added={"pipelineService": {"enabled": False}}).run())
    gone = {name for kind, name in dev - objects(prod) if name not in DATABASE_OBJECTS[kind]}
    assert all("object-store" in name or name.endswith("-minio") for name in gone)
    assert gone
    assert DATABASE_OBJECTS["StatefulSet"] < {name for _, name in dev - objects(prod)}


def test_prometheus_reads_no_store_and_wants_no_token_of_it_when_the_store_is_the_clouds(cloud: Graph) -> None:
    (server,) = [item for item in pods.workloads(cloud) if item.name == "prometheus"]
    template = reveal(pods.template_of(server))
    assert "secret" not in json.dumps(template["spec"]["volumes"])
    assert "object-store" not in json.dumps(template)
    assert "object-store" not in json.dumps(reveal(dict(cloud.object("ConfigMap", "prometheus-config").inputs)))


def test_everything_in_the_cloud_uses_the_one_provider_of_the_account_when_deployed(cloud: Graph) -> None:
    (provider,) = cloud.of_type("pulumi:providers:aws")
    assert json.loads(reveal(dict(provider.inputs))["allowedAccountIds"]) == [ACCOUNT]
    assert {item.provider for item in cloud.resources.values() if item.type.startswith("aws:")} == {"aws"}


def test_preview_knows_every_policy_when_nothing_exists_yet() -> None:
    graph = STACKS["prod"].run(preview=True)
    policies = [
        item.inputs[key]
        for item in graph.resources.values()
        for key in ("policy", "assumeRolePolicy")
        if key in item.inputs
    ]
    assert len(policies) > 15
    assert not any(isinstance(policy, Unknown) for policy in policies)


def test_package_of_aws_is_loaded_only_where_a_stack_is_there_when_programs_run() -> None:
    code = """
import sys
sys.modules["pulumi_aws"] = None
from tests.support.stacks import STACKS
print(len(STACKS["dev"].run().resources) > 50)
try:
    STACKS["staging"].run()
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ran, *refused = done.stdout.splitlines()
    assert ran == "True"
    assert refused == ["a stack on AWS needs the package pulumi_aws: pip install -e '.[aws]'"]


def test_somebody_is_told_before_the_money_is_gone_when_deployed(cloud: Graph) -> None:
    (budget,) = cloud.of_type("aws:budgets/budget:Budget")
    assert {item["notificationType"] for item in budget.inputs["notifications"]} == {"ACTUAL", "FORECASTED"}
    assert all(item["subscriberEmailAddresses"] for item in budget.inputs["notifications"])


def test_components_that_wait_as_a_whole_are_these_when_deployed(cloud: Graph) -> None:
    waiting = {
        item.name
        for item in cloud.resources.values()
        if not item.custom
        and set(item.depends_on) - {urn for urns in item.property_dependencies.values() for urn in urns}
    }
    pools = {item.name for item in cloud.of_kind("NodePool")}
    assert waiting == {
        *("secrets-key", "data-key", "replica-key", "cluster"),  # the roles that they name
        "access",  # the way out of its network
        *("cluster-services", "prerequisites"),  # the nodes
        *pools,  # Karpenter
        "platform",  # all of that
        *("tracking-server", "event-store"),  # their database
        "platform-namespace",  # the priorities that pods name
    }


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_no_resource_waits_for_more_than_five_others_by_declaration_when_deployed(stack: str) -> None:
    graph = STACKS[stack].run()
    for item in graph.resources.values():
        by_data = {urn for urns in item.property_dependencies.values() for urn in urns}
        waited_for = [graph.resources[urn] for urn in set(item.depends_on) - by_data if urn in graph.resources]
        # A component that is waited for counts once, whatever is in it.
        groups = {_outermost(graph, other, item) for other in waited_for}
        assert len(groups) <= 5, item.name


def _outermost(graph: Graph, item: Recorded, seen_from: Recorded) -> str:
    """Return the largest component around a resource that does not hold the one that waits."""
    around = {seen_from.urn, *_ancestors(graph, seen_from), graph.stack_urn}
    path = [item.urn, *_ancestors(graph, item)]
    return next(
        (urn for urn, parent in zip(path, [*path[1:], graph.stack_urn], strict=True) if parent in around), path[-1]
    )


def _ancestors(graph: Graph, item: Recorded) -> list[str]:
    found: list[str] = []
    while item.parent in graph.resources:
        found.append(item.parent)
        item = graph.resources[item.parent]
    return found
