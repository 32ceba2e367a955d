"""Rules that every component keeps. What they do not prove: that a cluster accepts the objects; tests/stack checks
schemas, the end-to-end tests the rest."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from typing import Any, cast

import pulumi
import pytest

from components._base import PlatformComponent
from components._secrets import SecretSource
from tests.support.catalogue import EXAMPLES, ROOTS, all_components, declare, declare_one
from tests.support.recording_monitor import Graph, Recorded, Unknown

TOKENS = {
    "AbTestDefinition": "mlplatform:index:AbTestDefinition",
    "AdmissionPolicies": "mlplatform:index:AdmissionPolicies",
    "Api": "mlplatform:index:Api",
    "Autoscaler": "mlplatform:index:Autoscaler",
    "CloudFoundation": "mlplatform:index:CloudFoundation",
    "CloudNativeMetadataDb": "mlplatform:index:CloudNativeMetadataDb",
    "CloudRoles": "mlplatform:index:CloudRoles",
    "ClusterServices": "mlplatform:index:ClusterServices",
    "DatabaseAlarms": "mlplatform:index:DatabaseAlarms",
    "DatabaseExporter": "mlplatform:index:DatabaseExporter",
    "DiskClass": "mlplatform:index:DiskClass",
    "EksCluster": "mlplatform:index:EksCluster",
    "EncryptionKey": "mlplatform:index:EncryptionKey",
    "EventStore": "mlplatform:index:EventStore",
    "ExperimentController": "mlplatform:index:ExperimentController",
    "Gateway": "mlplatform:index:Gateway",
    "GpuOperator": "mlplatform:index:GpuOperator",
    "ManagedMetadataDb": "mlplatform:index:ManagedMetadataDb",
    "MetadataDb": "mlplatform:index:MetadataDb",
    "MetadataDbRds": "mlplatform:index:MetadataDbRds",
    "MlPlatform": "mlplatform:index:MlPlatform",
    "ModelServer": "mlplatform:index:ModelServer",
    "Monitoring": "mlplatform:index:Monitoring",
    "NodePool": "mlplatform:index:NodePool",
    "NodeProvisioner": "mlplatform:index:NodeProvisioner",
    "ObjectStore": "mlplatform:index:ObjectStore",
    "PageLogin": "mlplatform:index:PageLogin",
    "PipelineDefinitions": "mlplatform:index:PipelineDefinitions",
    "PipelineService": "mlplatform:index:PipelineService",
    "PlatformNamespace": "mlplatform:index:PlatformNamespace",
    "PriorityClasses": "mlplatform:index:PriorityClasses",
    "Prerequisites": "mlplatform:index:Prerequisites",
    "PublicAccess": "mlplatform:index:PublicAccess",
    "S3ObjectStore": "mlplatform:index:S3ObjectStore",
    "SpendingBudget": "mlplatform:index:SpendingBudget",
    "Team": "mlplatform:index:Team",
    "TeamRegistry": "mlplatform:index:TeamRegistry",
    "TrackingServer": "mlplatform:index:TrackingServer",
    "TrafficSplit": "mlplatform:index:TrafficSplit",
    "Training": "mlplatform:index:Training",
    "VpcNetwork": "mlplatform:index:VpcNetwork",
    "WorkloadIdentity": "mlplatform:index:WorkloadIdentity",
}
"""A changed token replaces live resources: change this list only together with an alias."""

every_component = pytest.mark.parametrize("component", all_components(), ids=lambda cls: cls.__name__)
either_mode = pytest.mark.parametrize("preview", [True, False], ids=["preview", "up"])


def root_of(graph: Graph, component: type[PlatformComponent]) -> Recorded:
    (root,) = graph.of_type(TOKENS[component.__name__])
    return root


def test_catalogue_has_an_example_of_every_component_when_one_is_added() -> None:
    assert set(EXAMPLES) == set(all_components())


@every_component
def test_token_is_pinned_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    assert root_of(graph, component).type == TOKENS[component.__name__]


@every_component
def test_constructor_takes_name_args_and_options_when_inspected(component: type[PlatformComponent]) -> None:
    parameters = inspect.signature(component.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["opts"].default is None
    assert parameters["args"].annotation == f"{component.__name__}Args"


@every_component
def test_args_are_a_frozen_keyword_only_dataclass_when_inspected(component: type[PlatformComponent]) -> None:
    cls = getattr(sys.modules[component.__module__], f"{component.__name__}Args")
    assert cls.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(cls))


@every_component
@either_mode
def test_every_child_reaches_the_component_by_its_parents_when_declared(
    component: type[PlatformComponent], preview: bool
) -> None:
    graph = declare_one(component, preview=preview)
    root = root_of(graph, component)
    for resource in graph.resources.values():
        if resource.type.startswith("pulumi:providers:"):
            continue
        ancestor = resource
        while ancestor.urn != root.urn:
            assert ancestor.parent in graph.resources, f"{resource.name} is outside {root.name}"
            ancestor = graph.resources[ancestor.parent]


@every_component
def test_children_use_the_given_provider_when_declared(component: type[PlatformComponent]) -> None:
    declared = children(declare_one(component))
    assert declared
    for item in declared:
        assert item.provider == ("aws" if item.type.startswith("aws:") else "cluster"), item.name


@every_component
def test_outputs_are_registered_once_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    for resource in graph.resources.values():
        if resource.type.startswith("mlplatform:"):
            assert graph.output_registrations.get(resource.urn) == 1, resource.name
            assert graph.outputs[resource.urn], f"{resource.name} registers nothing"


@every_component
def test_component_stores_no_inputs_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    assert all(not item.inputs for item in graph.resources.values() if item.type.startswith("mlplatform:"))


@every_component
def test_child_names_start_with_the_components_name_when_declared(component: type[PlatformComponent]) -> None:
    graph = declare_one(component)
    for item in children(graph):
        parent = graph.resources[item.parent]
        assert item.name == parent.name or item.name.startswith(f"{parent.name}-")


@every_component
def test_two_instances_live_side_by_side_when_their_names_differ(component: type[PlatformComponent]) -> None:
    if component in ROOTS:
        pytest.skip("a stack has one; its components are named by the contract with other parts")
    if component.__name__ in {"AbTestDefinition", "PipelineDefinitions"}:
        pytest.skip("a cluster has one definition of a kind; its name is fixed by Kubernetes")
    if component.__name__ == "GpuOperator":
        pytest.skip("a cluster has one operator, which obeys one object")

    def both(opts: pulumi.ResourceOptions) -> None:
        EXAMPLES[component].make("first", opts=opts)
        EXAMPLES[component].make("second", opts=opts)

    declared = declare(both)
    named = [_address(item) for item in declared.kubernetes_objects() if item.object_name]
    assert len(set(named)) == len(named)
    assert len(children(declared)) == 2 * len(children(declare_one(component)))


@every_component
def test_callers_options_reach_no_child_when_given(component: type[PlatformComponent]) -> None:
    def build(opts: pulumi.ResourceOptions) -> None:
        merged = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["spec"], aliases=[pulumi.Alias(name="before")])
        )
        assert merged is not None
        EXAMPLES[component].make("example", opts=merged)

    graph = declare(build)
    assert all(not item.ignore_changes for item in children(graph))
    assert root_of(graph, component).ignore_changes == ("spec",)


@every_component
@either_mode
def test_declared_graph_is_the_same_in_preview_and_up(component: type[PlatformComponent], preview: bool) -> None:
    graph, other = declare_one(component, preview=preview), declare_one(component, preview=not preview)
    assert set(graph.resources) == set(other.resources)
    for urn, item in graph.resources.items():
        assert agree(dict(item.inputs), dict(other.resources[urn].inputs)), item.name


def test_outputs_cannot_be_registered_twice_when_a_component_tries() -> None:
    class Twice(PlatformComponent):
        def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
            super().__init__(name, opts)
            self.finish(first=1)
            self.finish(second=2)

    with pytest.raises(RuntimeError, match="outputs are registered once"):
        declare(lambda opts: Twice("twice", opts))


def test_example_secrets_differ_by_purpose_when_derived() -> None:
    found: list[Any] = []

    def program(_: pulumi.ResourceOptions) -> None:
        source = SecretSource(pulumi.Output.secret("x" * 32))
        pulumi.Output.all(source.password("a"), source.password("b")).apply(found.extend)

    declare(program)
    first, second = found
    assert first != second


def children(graph: Graph) -> list[Recorded]:
    """Return what is made somewhere: everything but components and providers."""
    return [item for item in graph.resources.values() if item.custom and not item.type.startswith("pulumi:")]


def agree(one: Any, other: Any) -> bool:
    """Say whether two recorded values are the same as far as both are known."""
    if isinstance(one, Unknown) or isinstance(other, Unknown):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return left.keys() == right.keys() and all(agree(left[key], right[key]) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        items, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(items) == len(others) and all(map(agree, items, others))
    return one == other


def _address(item: Recorded) -> tuple[str, str, str]:
    return item.kind, item.manifest["metadata"].get("namespace", ""), item.object_name
