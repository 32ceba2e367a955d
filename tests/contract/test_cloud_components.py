"""Rules that every resource of the cloud keeps. They hold inputs against the provider's SDK: whether AWS takes them is
not shown by this."""

from __future__ import annotations

from typing import Any

import pytest

from components._base import PlatformComponent
from tests.support import aws_schema
from tests.support.catalogue import EXAMPLES, declare_one
from tests.support.recording_monitor import Graph, Recorded

CLOUD = [component for component in EXAMPLES if "catalogue_cloud" in EXAMPLES[component].args.__module__]
REQUIRED_TAGS = {"owner", "cost-center", "stack", "Name"}
SINGLE_REGION = {"iam", "route53", "budgets"}
"""Services of AWS that are the same in every region."""

every_cloud_component = pytest.mark.parametrize("component", CLOUD, ids=lambda cls: cls.__name__)


def in_the_cloud(graph: Graph) -> list[Recorded]:
    return [item for item in graph.resources.values() if item.type.startswith("aws:")]


@every_cloud_component
def test_inputs_are_those_of_the_providers_schema_when_declared(component: type[PlatformComponent]) -> None:
    """Names, types, enumerations and what is needed, of nested fields as well."""
    for item in in_the_cloud(declare_one(component)):
        assert aws_schema.problems(item.type, item.inputs) == [], item.name


@pytest.mark.parametrize(
    ("token", "inputs", "says"),
    [
        ("aws:ec2/vpc:Vpc", {"cidr": "10.0.0.0/16"}, "has no cidr"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": 10}, "cidrBlock: 10 is no str"),
        ("aws:ec2/vpc:Vpc", {"enableDnsSupport": "true"}, "enableDnsSupport: 'true' is no bool"),
        ("aws:ec2/vpc:Vpc", {"tags": {"owner": 1}}, "tags.owner: 1 is no str"),
        ("aws:ec2/route:Route", {}, "needs routeTableId"),
        ("aws:iam/role:Role", {"assumeRolePolicy": "{}", "maxSessionDuration": 1.5}, "1.5 is no int"),
        (
            "aws:budgets/budget:Budget",
            {"budgetType": "COST", "timeUnit": "MONTHLY", "notifications": [{"threshold": 80}]},
            "notifications[0]: needs comparisonOperator",
        ),
    ],
)
def test_schema_finds_what_is_wrong_when_an_input_does_not_fit(token: str, inputs: dict[str, Any], says: str) -> None:
    assert any(says in line for line in aws_schema.problems(token, inputs))


@every_cloud_component
def test_everything_that_can_carry_tags_says_who_pays_when_declared(component: type[PlatformComponent]) -> None:
    for item in in_the_cloud(declare_one(component)):
        if "tags" in aws_schema.inputs_of(item.type):
            assert set(item.inputs["tags"]) >= REQUIRED_TAGS, item.name


@every_cloud_component
def test_names_in_the_account_begin_with_the_stacks_name_when_given(component: type[PlatformComponent]) -> None:
    for item in in_the_cloud(declare_one(component, instance="example")):
        name = str(item.inputs.get("name", item.inputs.get("bucket", "")))
        is_shared = item.type.startswith(("aws:eks/", "aws:route53/"))
        assert is_shared or not name or "example" in name, f"{item.type} {name}"


@every_cloud_component
def test_no_resource_names_a_region_but_the_copies_when_declared(component: type[PlatformComponent]) -> None:
    for item in in_the_cloud(declare_one(component)):
        region = item.inputs.get("region")
        assert region in (None, "eu-central-1"), item.name
        is_copy = "replica" in item.name.split("-") and not item.type.startswith("aws:iam/")
        assert (region is not None) == is_copy, item.name


def test_catalogue_has_the_cloud_when_its_rules_are_checked() -> None:
    assert len(CLOUD) >= 15
    assert all(in_the_cloud(declare_one(c)) or declare_one(c).kubernetes_objects() for c in CLOUD)
