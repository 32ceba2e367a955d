"""Two platforms in one cluster: what lies outside their own namespaces has a name of its own in each."""

from __future__ import annotations

import functools

import pytest

from components._naming import fitting_name
from tests.support.recording_monitor import Graph, Recorded
from tests.support.stacks import TEAMS, StackUnderTest

SHARED = {"CustomResourceDefinition", "ClusterPolicy"}
"""What a cluster has once whoever declares it: what a kind is, and what the one GPU operator is told."""


@functools.cache
def platform(namespace: str) -> Graph:
    """Return a platform with everything that may be in a shared cluster."""
    teams = [{**team, "name": f"{namespace[0]}-{team['name']}", "ownNamespace": None} for team in TEAMS.added["teams"]]
    added = {
        **TEAMS.added,
        "namespace": namespace,
        "domain": f"{namespace}.example.org",
        "teams": [{key: value for key, value in team.items() if value is not None} for team in teams],
        "pipelineService": {"enabled": True, "replicas": 1, "namespace": f"{namespace}-pipelines"},
        "gpu": {"operator": True},
        "modelServer": {},
        "autoscaling": {"modelServer": {"minimum": 1, "maximum": 2, "concurrency": 4}},
        "prerequisites": {"certManager": "present", "keda": "present", "gpuOperator": "present"},
    }
    return StackUnderTest(name="dev", added=added).run()


def address(item: Recorded) -> tuple[str, str, str]:
    """Return where an object lies."""
    return item.kind, str(item.manifest["metadata"].get("namespace", "")), item.object_name


def test_no_object_of_one_is_an_object_of_the_other_when_both_are_in_a_cluster() -> None:
    first, second = (
        {
            address(item)
            for item in platform(namespace).kubernetes_objects()
            if item.object_name and item.kind not in SHARED
        }
        for namespace in ("research", "product")
    )
    assert len(first) == len(second)
    assert {"PriorityClass", "ValidatingAdmissionPolicy", "EnvoyFilter", "Certificate"} <= {kind for kind, *_ in first}
    assert first & second == set()


@pytest.mark.parametrize("namespace", ["research", "product"])
def test_pods_name_priorities_of_their_own_platform_when_they_name_any(namespace: str) -> None:
    graph = platform(namespace)
    declared = {item.object_name for item in graph.of_kind("PriorityClass")}
    named = {
        item.manifest["spec"]["template"]["spec"].get("priorityClassName")
        for kind in ("Deployment", "StatefulSet")
        for item in graph.of_kind(kind)
    }
    assert named - {None} == declared == {f"{namespace}-data", f"{namespace}-serving"}


@pytest.mark.parametrize(("length", "kept"), [(63, True), (64, False), (90, False)])
def test_name_is_cut_and_still_its_own_when_it_is_too_long(length: int, kept: bool) -> None:
    name = "a" * length
    fitting = fitting_name(name)
    assert (fitting == name) is kept
    assert len(fitting) == 63
    assert fitting != fitting_name(f"{name}-") or kept
