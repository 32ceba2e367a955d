"""Where the cluster's refusal holds, and for which stack."""

from __future__ import annotations

from typing import Any

from components.admission_policies import AdmissionPolicies
from tests.support.catalogue import declare_one
from tests.support.recording_monitor import Graph
from tests.support.stacks import STACKS, StackUnderTest


def bindings(graph: Graph) -> dict[str, dict[str, Any]]:
    return {item.object_name: item.manifest["spec"] for item in graph.of_kind("ValidatingAdmissionPolicyBinding")}


def test_every_policy_is_bound_to_the_platform_when_declared() -> None:
    graph = declare_one(AdmissionPolicies, namespace_name="research")
    found = bindings(graph)
    assert set(found) == {item.object_name for item in graph.of_kind("ValidatingAdmissionPolicy")}
    assert len(found) >= 4
    for name, spec in found.items():
        assert spec["policyName"] == name
        wanted = (
            {"objectSelector": {"matchLabels": {"app.kubernetes.io/part-of": "mlplatform"}}}
            if name.startswith("research-cluster-")
            else {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "research"}}}
        )
        assert spec["matchResources"] == wanted


def test_names_differ_when_a_cluster_has_two_platforms() -> None:
    first, second = (declare_one(AdmissionPolicies, namespace_name=name) for name in ("research", "rehearsal"))
    assert set(bindings(first)).isdisjoint(bindings(second))


def test_advice_only_warns_when_the_stack_has_such_rules() -> None:
    local = declare_one(AdmissionPolicies, namespace_name="research", stack="local")
    unnamed = declare_one(AdmissionPolicies, namespace_name="research", stack="none of ours")
    assert bindings(local)["research-workloads-advisory"]["validationActions"] == ["Warn", "Audit"]
    assert {tuple(spec["validationActions"]) for spec in bindings(unnamed).values()} == {("Deny", "Audit")}


def test_exemptions_are_those_of_the_stack_when_it_has_some() -> None:
    def text(stack: str) -> str:
        graph = declare_one(AdmissionPolicies, namespace_name="research", stack=stack)
        return str(graph.object("ValidatingAdmissionPolicy", "research-mesh-mandatory").manifest)

    excuse = 'object.metadata.name == "platform-gateway"'
    assert excuse in text("dev")
    assert excuse not in text("none of ours")


def test_there_is_no_policy_when_they_are_switched_off() -> None:
    stack = STACKS["dev"]
    off = StackUnderTest(name=stack.name, added={**stack.added, "admissionPolicies": False})
    assert len(bindings(stack.run())) >= 4
    assert bindings(off.run()) == {}
