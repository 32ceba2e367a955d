"""Rules that every resource of the cloud keeps. They hold inputs against the provider's SDK: whether AWS takes them is
not shown by this."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

import pulumi_aws
import pytest

from components._base import PlatformComponent
from tests.support.catalogue import EXAMPLES, declare_one
from tests.support.recording_monitor import Graph, Recorded

CLOUD = [component for component in EXAMPLES if "catalogue_cloud" in EXAMPLES[component].args.__module__]
REQUIRED_TAGS = {"owner", "cost-center", "stack", "Name"}
SINGLE_REGION = {"iam", "route53", "budgets"}
"""Services of AWS that are the same in every region."""

every_cloud_component = pytest.mark.parametrize("component", CLOUD, ids=lambda cls: cls.__name__)


def in_the_cloud(graph: Graph) -> list[Recorded]:
    return [item for item in graph.resources.values() if item.type.startswith("aws:")]


@cache
def class_of(token: str) -> Any:
    """Return the SDK's class of a resource type such as `aws:ec2/vpc:Vpc`."""
    module, name = token.split(":")[1].partition("/")[0], token.rpartition(":")[2]
    return getattr(importlib.import_module(f"{pulumi_aws.__name__}.{module}"), name)


@cache
def inputs_of(token: str) -> dict[str, bool]:
    """Return the inputs that a resource type has, in the provider's spelling, and whether each must be given."""
    arguments = importlib.import_module(class_of(token).__module__)
    # Where the name is taken by a part of another resource, the SDK calls the arguments otherwise.
    name = class_of(token).__name__
    init = getattr(arguments, f"{name}InitArgs", getattr(arguments, f"{name}Args")).__init__
    return {
        _camel_case(name): parameter.default is inspect.Parameter.empty
        for name, parameter in inspect.signature(init).parameters.items()
        if name not in ("self", "__self__")
    }


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


@every_cloud_component
def test_inputs_are_those_of_the_providers_schema_when_declared(component: type[PlatformComponent]) -> None:
    for item in in_the_cloud(declare_one(component)):
        known = inputs_of(item.type)
        assert set(item.inputs) <= set(known), item.name
        assert {name for name, needed in known.items() if needed} <= set(item.inputs), item.name


@every_cloud_component
def test_everything_that_can_carry_tags_says_who_pays_when_declared(component: type[PlatformComponent]) -> None:
    for item in in_the_cloud(declare_one(component)):
        if "tags" in inputs_of(item.type):
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
    assert len(CLOUD) >= 13
    assert all(in_the_cloud(declare_one(c)) or declare_one(c).kubernetes_objects() for c in CLOUD)
